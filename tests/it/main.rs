//! The product through its doors: every test starts the real server and reads what the stand-ins received.

#![cfg(test)]

mod support;

mod binary;
mod browser;
mod chaos;
mod clients;
mod codes;
mod crash;
mod crash_table;
mod dedup;
mod disk;
mod docs;
mod doctor;
mod doors;
mod drill;
mod events;
mod fates;
mod health;
mod house;
mod marked;
mod model;
mod operator;
mod order;
mod panics;
mod power_loss;
mod readme;
mod scrape;
mod send;
mod smoke;
mod soak;
mod traps;
mod voice;
mod wakes;
