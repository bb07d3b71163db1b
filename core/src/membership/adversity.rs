//! The promises of the rules, each in the order of events that is hardest on it: clones, cuts, long sleeps, wrong clocks and
//! forged datagrams.

mod forged;
mod net;
mod processes;
mod random;
mod views;
