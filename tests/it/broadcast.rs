//! The scenario tests of the broadcast, under every check.

#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks at a few messages or notices of many")]

mod floods;
mod fragments;
mod group;
mod histories;
mod hostile;
mod isolation;

mod losses;
mod pushes;
mod reports;
mod restarts;
mod trees;
