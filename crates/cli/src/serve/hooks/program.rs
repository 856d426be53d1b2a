//! Running a hook's program.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::ExitStatus;

use crate::helper::Helper;

/// Runs programs: in tests, something else.
pub(super) trait Runner: Send + Sync {
    /// Runs a program (its path, then its arguments) with this on its standard input, to its end. Dropped, the program
    /// and all that it has started are killed.
    fn run<'a>(&'a self, program: &'a [String], input: &'a [u8]) -> Running<'a>;
}

/// A program that runs.
pub(super) type Running<'a> = Pin<Box<dyn Future<Output = io::Result<ExitStatus>> + Send + 'a>>;

impl Runner for Helper {
    fn run<'a>(&'a self, program: &'a [String], input: &'a [u8]) -> Running<'a> {
        // Messages are JSON, which is text.
        Box::pin(async move { Ok(Helper::run(self, program, &String::from_utf8_lossy(input), false).await?.status()) })
    }
}
