//! Broadcast: its scenarios, each a test that is named after it, under every check.

#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks at a few messages or notices of many")]

mod floods;
mod fragments;
mod group;
mod histories;
mod hostile;
mod isolation;
mod lives;
mod losses;
mod pushes;
mod reports;
mod trees;
