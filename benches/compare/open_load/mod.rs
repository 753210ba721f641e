//! The parts of `open-load`, which `tests/open_load.rs` takes in as well.

mod answer;
mod arguments;
mod report;
mod schedule;
mod sender;

pub(crate) use arguments::Arguments;
pub(crate) use sender::run;

#[cfg(test)]
pub(crate) use {
    answer::{Answer, Reader},
    arguments::Plan,
    report::percentile,
    schedule::Schedule,
};
