//! The binary as people and scripts see it: whole outputs, exit codes, real processes.

mod broker;
mod config;
mod connect;
mod groups;
mod health;
mod help;
mod process;
mod produce;
mod proxy;
mod reference;
mod terminal;
mod up;
