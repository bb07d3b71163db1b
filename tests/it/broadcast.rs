//! Broadcast: its scenarios, each a test that is named after it, under every check.

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
