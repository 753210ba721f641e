//! The program.

use std::process::ExitCode;

/// Many small buffers that live long and die on another thread than the one that made them: the system's allocator
/// keeps the holes they leave.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    tollgate::cli::main()
}
