//! `port21 doctor`: each step of a session tried on its own against a server, and for the first that fails why, and what to
//! change.
//!
//! | module | what it is |
//! |---|---|
//! | `steps` | what is tried, in order: from the name to the login |
//! | `ports`, `transfers`, `security` | data connections; a listing and files; what is to be known of TLS |
//! | `cause` | from an error to why, and whose it is |
//! | `report` | the rows, for people and as JSON |
//! | `log` | what happened on the wire: for the causes, and for the drawing |

mod cause;
mod log;
mod ports;
mod report;
mod security;
mod steps;
mod transfers;

use self::log::{Log, Output};
use self::steps::Walk;
use crate::args::client::DoctorArgs;
use crate::exit::Exit;
use crate::interrupt::run_until_interrupted;
use crate::place::Place;
use crate::print;

/// Tries all of it, and tells. The exit code is that of the first step that failed.
pub(crate) fn run(args: &DoctorArgs) -> anyhow::Result<Exit> {
    run_until_interrupted(examine(args))
}

async fn examine(args: &DoctorArgs) -> anyhow::Result<Exit> {
    let place = Place::parse(&args.url)?;
    let mut outputs = args.output.iter().map(|path| Output::read(path)).collect::<anyhow::Result<Vec<_>>>()?;
    outputs.extend(args.connect.trace.clone().map(Output::recording));
    let log = Log::begin(&format!("port21 doctor {place}"))?;
    // What standard output is used for by a drawing or by JSON is not mixed with rows.
    let rows = !args.json && !outputs.iter().any(Output::is_standard_output);
    let mut tell = |row: &str| if rows { print(row).map(drop) } else { Ok(()) };
    let report = Walk::new(&place, args, &log)?.all(&mut tell).await?;
    log.draw(&outputs)?;
    if args.json {
        print(&report.json(&place.to_string()))?;
    } else {
        tell(&format!("\n{}", report.verdict()))?;
    }
    Ok(report.exit())
}
