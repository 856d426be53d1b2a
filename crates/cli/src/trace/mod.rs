//! `port21 trace`: recordings and captures to drawings.
//!
//! | module | what it is |
//! |---|---|
//! | `follow` | a recording drawn while it is written |
//! | `tail` | a file that grows |
//! | `save` | drawings into files |
//! | `live` | the sessions of an interface, drawn while they go on |
//! | `view` | sessions in a terminal: a list, a ladder, a message |
//! | `packets`, `shelf` | the packets of an interface; the file that they are written to |

mod follow;
#[cfg(target_os = "linux")]
mod live;
#[cfg(target_os = "linux")]
mod packets;
mod save;
#[cfg(target_os = "linux")]
mod shelf;
mod tail;
mod view;

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use port21_proto::text::Shown;
use port21_trace::drawing::{self, DrawError, Drawing, Format, Which};
use port21_trace::findings::Severity;
use port21_trace::input::{self, Input, Secrets};
use port21_trace::ladder::{self, LaneName};
use port21_trace::recording::Recording;
use port21_trace::render::{PdfOptions, TextOptions};

use crate::args::trace::TraceArgs;
use crate::exit::{Exit, Fault};
use crate::{print, print_bytes};

pub(crate) use save::save;

/// The formats, by the endings that ask for them.
const FORMATS: &str = ".txt, .svg, .pdf, .html, .mmd, .json and .jsonl";

pub(crate) fn run(args: &TraceArgs) -> anyhow::Result<Exit> {
    let outputs = args.output.iter().map(|path| Ok((path, format(path, args)?))).collect::<anyhow::Result<Vec<_>>>()?;
    let options = options(args)?;
    if let Some(interface) = &args.live {
        return listen(args, interface, options);
    }
    if args.write.is_some() || !args.port.is_empty() {
        bail!(Fault::usage("--write and --port are for --live"));
    }
    if args.follow {
        let [input] = args.inputs.as_slice() else {
            bail!(Fault::usage("--follow: one recording can be followed at a time"));
        };
        if view::is_wanted(args) {
            let feed = view::Feed::Recording(tail::read(input)?, follow::Chosen::new(args.session.as_deref()));
            let worst = view::watch(feed, settings(args, options, input.display().to_string())?)?;
            return Ok(judged(worst, args.fail_on));
        }
        let text = terminal_text(args.width, args.ascii);
        return follow::run(input, args.session.as_deref(), options, text, args.fail_on);
    }
    let printed = args.format.as_deref().map(named).transpose()?;
    let secrets = if args.show_secrets { Secrets::Shown } else { Secrets::Masked };
    if args.show_secrets && outputs.iter().map(|(_, f)| *f).chain(printed).any(|f| f == Format::Recording) {
        bail!(Fault::usage("--show-secrets: a recording holds no passwords"));
    }
    let mut recording = read_all(&args.inputs, secrets)?;
    let viewed = view::is_wanted(args) && !recording.sessions.is_empty();
    for note in &recording.notes {
        tracing::warn!("{note}");
    }
    if let Some(host) = args.host {
        let all = recording.sessions.len();
        recording.sessions.retain(|session| session.is_of(host));
        if all > 0 && recording.sessions.is_empty() {
            bail!(Fault::usage(format!("--host: {host} is in none of the {all} sessions; --list shows them")));
        }
    }
    if args.list {
        print(&drawing::list(&recording))?;
        return verdict(args, &recording, Which::All);
    }
    if viewed {
        return show(args, recording, options);
    }
    let which = match args.session.as_deref() {
        None | Some("all") => Which::All,
        Some(one) => Which::One(one.to_owned()),
    };
    let drawing = |format, text| Drawing {
        format,
        which: which.clone(),
        ladder: options.clone(),
        text,
        pdf: PdfOptions { paper: args.paper, ..PdfOptions::default() },
        secrets,
        ..Drawing::default()
    };
    let draw = |drawing: &Drawing| drawing.file(&recording).map_err(|error| Fault::usage(error.to_string()));
    if outputs.is_empty() {
        let format = printed.unwrap_or_default();
        if format == Format::Pdf && io::stdout().is_terminal() {
            bail!(Fault::usage("a terminal cannot show a PDF: say -o FILE.pdf"));
        }
        print_bytes(&draw(&drawing(format, terminal_text(args.width, args.ascii)))?)?;
        return verdict(args, &recording, which);
    }
    for (path, format) in outputs {
        let text = TextOptions { width: width_in(args.width)?, ascii: args.ascii, colour: false };
        let drawing = drawing(format, text);
        if path.as_os_str() == "-" {
            print_bytes(&draw(&drawing)?)?;
            continue;
        }
        let written = save(path, &drawing, &recording)?;
        if let ([first, .., last], sessions) = (written.as_slice(), written.len()) {
            eprintln!("port21: {sessions} sessions, a file for each: {} to {}", first.display(), last.display());
        }
    }
    verdict(args, &recording, which)
}

/// Shows the sessions of files in the terminal.
fn show(args: &TraceArgs, recording: Recording, options: ladder::Options) -> anyhow::Result<Exit> {
    let chosen = args.session.as_deref().map(|asked| {
        let none = || Fault::usage(DrawError::NoSuchSession(Shown(asked.as_bytes()).to_string()).to_string());
        view::named(&recording, asked).ok_or_else(none)
    });
    let names: Vec<String> = args.inputs.iter().map(|path| path.display().to_string()).collect();
    let settings = settings(args, options, names.join(", "))?;
    let worst = view::show(recording, chosen.transpose()?, settings, &args.inputs)?;
    Ok(judged(worst, args.fail_on))
}

/// How the view draws.
fn settings(args: &TraceArgs, options: ladder::Options, name: String) -> anyhow::Result<view::Settings> {
    Ok(view::Settings {
        ladder: options,
        text: terminal_text(None, args.ascii),
        width: width_in(args.width)?,
        pdf: PdfOptions { paper: args.paper, ..PdfOptions::default() },
        name: Shown(name.as_bytes()).to_string(),
    })
}

#[cfg(target_os = "linux")]
fn listen(args: &TraceArgs, interface: &str, options: ladder::Options) -> anyhow::Result<Exit> {
    if view::is_wanted(args) {
        let capture = live::Capture::start(args, interface)?;
        let feed = view::Feed::Interface(std::sync::Arc::clone(&capture));
        let worst = view::watch(feed, settings(args, options, interface.to_owned())?);
        let told = capture.finish()?;
        print(&format!(" {told}.\n"))?;
        return Ok(judged(worst?, args.fail_on));
    }
    live::run(args, interface, options, terminal_text(args.width, args.ascii))
}

#[cfg(not(target_os = "linux"))]
fn listen(_: &TraceArgs, _: &str, _: ladder::Options) -> anyhow::Result<Exit> {
    bail!("--live: packets are captured on Linux alone; elsewhere, `tcpdump -w FILE` and `port21 trace FILE`")
}

/// The exit code that `--fail-on` asks for.
fn verdict(args: &TraceArgs, recording: &Recording, which: Which) -> anyhow::Result<Exit> {
    if args.fail_on.is_none() {
        return Ok(Exit::Done);
    }
    let drawing = Drawing { which, ..Drawing::default() };
    let worst = drawing.worst(recording).map_err(|error| Fault::usage(error.to_string()))?;
    Ok(judged(worst, args.fail_on))
}

fn judged(worst: Option<Severity>, fail_on: Option<Severity>) -> Exit {
    match (worst, fail_on) {
        (Some(worst), Some(least)) if worst >= least => Exit::Findings,
        _ => Exit::Done,
    }
}

/// How text is drawn for standard output: as wide as the terminal, with colours only there.
pub(crate) fn terminal_text(width: Option<usize>, ascii: bool) -> TextOptions {
    let stdout = io::stdout();
    let columns = rustix::termios::tcgetwinsize(&stdout).ok().map(|size| usize::from(size.ws_col)).filter(|n| *n > 0);
    let default = TextOptions::default();
    let colour = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    TextOptions { width: width.or(columns).unwrap_or(default.width), ascii, colour }
}

fn width_in(width: Option<usize>) -> anyhow::Result<usize> {
    match width {
        Some(width) if width < TextOptions::MIN_WIDTH => {
            bail!(Fault::usage(format!(
                "--width: {} columns are the least that can be drawn in",
                TextOptions::MIN_WIDTH
            )))
        }
        width => Ok(width.unwrap_or(TextOptions::default().width)),
    }
}

fn options(args: &TraceArgs) -> anyhow::Result<ladder::Options> {
    width_in(args.width)?;
    let only = args.only.as_ref().map(|lane| lane.parse::<LaneName>());
    Ok(ladder::Options {
        tcp: !args.no_tcp,
        only: only.transpose().map_err(|error| Fault::usage(format!("--only: {error}")))?,
        title: args.title.clone(),
        date: args.date.clone(),
        fields: args.fields,
        fold: !args.unfold,
        ..ladder::Options::default()
    })
}

fn format(path: &Path, args: &TraceArgs) -> anyhow::Result<Format> {
    if let Some(name) = &args.format {
        return named(name);
    }
    if path.as_os_str() == "-" {
        return Ok(Format::Text);
    }
    format_of(path)
}

/// The format that a file's ending asks for.
pub(crate) fn format_of(path: &Path) -> anyhow::Result<Format> {
    match Format::of_file(path) {
        Some(format) => Ok(format),
        None => {
            bail!(Fault::usage(format!("{}: no format has this ending: there are {FORMATS}", path.display())))
        }
    }
}

fn named(name: &str) -> anyhow::Result<Format> {
    match Format::of_file(Path::new(&format!("x.{name}"))) {
        Some(format) => Ok(format),
        None => bail!(Fault::usage(format!("--format {name}: there are txt, svg, pdf, html, mermaid, json and jsonl"))),
    }
}

/// Reads all inputs into one.
fn read_all(paths: &[PathBuf], secrets: Secrets) -> anyhow::Result<Recording> {
    let inputs = paths.iter().map(|path| -> anyhow::Result<Input> {
        let bytes: Box<dyn Read> = if path.as_os_str() == "-" {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path).with_context(|| format!("cannot read {}", path.display()))?)
        };
        let name = if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() };
        Ok(Input { name, bytes })
    });
    Ok(input::read_with(inputs.collect::<anyhow::Result<Vec<_>>>()?, secrets)?)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Args, Command};

    fn args(line: &str) -> TraceArgs {
        let Command::Trace(args) = Args::parse_from(line.split(' ')).command else { panic!() };
        args
    }

    #[test]
    fn formats_go_by_ending() {
        assert_eq!(format(Path::new("x.svg"), &args("port21 trace -")).unwrap(), Format::Svg);
        assert_eq!(format(Path::new("x.dat"), &args("port21 trace - --format svg")).unwrap(), Format::Svg);
        let error = format(Path::new("x.doc"), &args("port21 trace -")).unwrap_err().to_string();
        assert!(error.contains(".txt, .svg, .pdf, .html, .mmd, .json and .jsonl"), "{error}");
        assert!(named("doc").is_err());
    }

    #[test]
    fn lanes_and_widths() {
        assert!(options(&args("port21 trace - --only server:21")).unwrap().only.is_some());
        assert!(options(&args("port21 trace - --only nowhere")).is_err());
        assert!(options(&args("port21 trace - --width 20")).is_err());
        assert!(!options(&args("port21 trace - --no-tcp")).unwrap().tcp);
    }
}
