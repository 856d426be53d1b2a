//! `port21 demo`: the reference session, for real, on this machine.
//!
//! A name server, the FTP server and the console's client talk over real sockets at three loopback hosts; what the client
//! saw is recorded, drawn, and compared with the reference message by message. Nothing here is a special case: server
//! and client are those of `serve` and `shell`, with settings that anybody can give them.
//!
//! | module | what it is |
//! |---|---|
//! | `ports` | the hosts and their ports |
//! | `dns` | the name server |
//! | `site` | the server's files |
//! | `reference` | the messages that there should be, and the check |

mod dns;
mod ports;
mod reference;
mod site;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use port21_trace::drawing::{Drawing, Format};
use port21_trace::ladder::Ladder;
use port21_trace::recording::{Recorder, Recording as Recorded};
use port21_trace::render;
use tokio::net::UdpSocket;
use tokio::sync::oneshot;

use self::ports::{Chosen, Places};
use crate::args::client::{ConnectArgs, MAX_ENTRIES};
use crate::args::serve::ListenAddr;
use crate::args::trace::DemoArgs;
use crate::config::{Anonymous, Config, Listen, Site};
use crate::console::{Console, Flow, Out};
use crate::exit::{Exit, Fault};
use crate::interrupt::run_until_interrupted;
use crate::record::Recording;
use crate::trace::{format_of, save, terminal_text};

/// What the drawing is called.
const TITLE: &str = "FTP Session Sequence Diagram";

/// The whole session takes well under a second, or two where ports still rest from a run before.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<Exit> {
    let outputs = args.output.iter().map(|path| Ok((path.as_path(), format_of(path)?)));
    let outputs = outputs.collect::<anyhow::Result<Vec<_>>>()?;
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    let Chosen { places, dns, moved } = Places::choose(args.port_offset)?;
    // With -q only what went wrong is said.
    let out =
        if tracing::enabled!(tracing::Level::WARN) { Out::new(std::io::stdout()) } else { Out::new(std::io::sink()) };
    if let Some(why) = moved {
        out.line(format_args!("{why}.\n"));
    }
    let jsonl = args.out.join("session.jsonl");
    run_until_interrupted(async {
        match tokio::time::timeout(PATIENCE, session(&places, dns, &jsonl, &out)).await {
            Ok(done) => done.map(|()| Exit::Done),
            Err(_) => bail!(Fault::new(Exit::Interrupted, format!("the session did not end within {PATIENCE:?}"))),
        }
    })?;
    draw_and_check(&places, args, &outputs, &jsonl, &out)
}

/// Runs the session, from the DNS query to the last FIN, and compares the file that it fetched.
async fn session(places: &Places, dns: std::net::UdpSocket, jsonl: &Path, out: &Out) -> anyhow::Result<()> {
    let site = site::make().context("cannot make the server's files")?;
    let here = tempfile::tempdir().context("cannot make a directory to download into")?;

    dns.set_nonblocking(true).context("the name server's socket")?;
    let dns = tokio::spawn(dns::serve(UdpSocket::from_std(dns)?, places.server_host()));
    let mut server = crate::serve::server(&server_settings(places, site.path())).await?;
    server.listen(places.server()).map_err(|error| Fault::new(Exit::Local, error.to_string()))?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(server.run(async move { drop(stopped.await) }));

    let recording = Recording::begin_titled(Some(jsonl), Recorder::Client, Some(TITLE))?;
    let mut console = Console::new(client_flags(places), recording, here.path().to_owned(), out.clone(), false);
    console.set_verbose(true);
    let done = play(&mut console, places, out).await;
    console.end().await;

    // Nobody is connected any more: the server ends at once.
    drop(stop);
    server.await.context("the server")?;
    dns.abort();
    done?;
    let fetched = std::fs::read(here.path().join("readme.txt")).context("readme.txt was not fetched")?;
    if fetched != site::README {
        bail!(Fault::new(Exit::Verification, "readme.txt is not what the server has"));
    }
    Ok(())
}

/// Types the user's lines.
async fn play(console: &mut Console, places: &Places, out: &Out) -> anyhow::Result<()> {
    let port = if places.offset == 0 { String::new() } else { format!(" {}", places.port(21)) };
    let open = format!("open ftp.any-domain.com{port}");
    let lines = [open.as_str(), "user ftp guest@any-domain.com", "dir", "cd pub", "get readme.txt", "bye"];
    for line in lines {
        let shown = line.strip_suffix("guest@any-domain.com").map_or(line.to_owned(), |user| format!("{user}***"));
        out.line(format_args!("port21> {shown}"));
        match console.run_line(line).await.with_context(|| shown)? {
            Flow::Continue => {}
            Flow::End => return Ok(()),
        }
    }
    Ok(())
}

/// As a configuration file would have it.
fn server_settings(places: &Places, root: &Path) -> Config {
    Config {
        listen: vec![Listen::at(ListenAddr(places.server()))],
        site: Site {
            names: Vec::new(),
            root: Some(root.to_owned()),
            greeting: "ANY-DOMAIN.COM FTP Service".to_owned(),
            host_name: Some("ftp.any-domain.com".to_owned()),
            ..Site::default()
        },
        anonymous: Anonymous { enabled: true, ..Anonymous::default() },
        ..Config::default()
    }
}

/// As `port21 shell -4 --active --no-probe --dns ...` would have it.
fn client_flags(places: &Places) -> ConnectArgs {
    ConnectArgs {
        max_entries: MAX_ENTRIES,
        user: None,
        // The user of this machine is not the user of the demo.
        netrc_file: Some(PathBuf::from("/dev/null")),
        active: true,
        tls: false,
        cacert: None,
        pin: Vec::new(),
        insecure: false,
        client_cert: None,
        client_key: None,
        tls_version: None,
        // Nor is its network.
        proxy: Some("none".to_owned()),
        dns: Some(places.dns()),
        ipv4: true,
        ipv6: false,
        timeout: Some(Duration::from_secs(10)),
        retry: None,
        charset: None,
        no_probe: true,
        trace: None,
        bind: Some(places.client_host()),
        control_port: Some(places.port(1175)),
        active_ports: Some(places.port(5001)..=places.port(5002)),
        dns_port: Some(places.port(1030)),
    }
}

/// Draws what was recorded, and checks it.
fn draw_and_check(
    places: &Places,
    args: &DemoArgs,
    outputs: &[(&Path, Format)],
    jsonl: &Path,
    out: &Out,
) -> anyhow::Result<Exit> {
    let file = File::open(jsonl).with_context(|| jsonl.display().to_string())?;
    let recorded = Recorded::read(BufReader::new(file)).with_context(|| jsonl.display().to_string())?;
    let Some(session) = recorded.sessions.first() else {
        bail!(Fault::new(Exit::Verification, "the recording holds no session"));
    };
    let ladder: Ladder = Drawing { format: Format::Text, ..Drawing::default() }.ladder(session);
    let beside = [("session.txt", Format::Text), ("session.svg", Format::Svg)];
    let beside = beside.map(|(name, format)| (args.out.join(name), format));
    let all = beside.iter().map(|(path, format)| (path.as_path(), *format)).chain(outputs.iter().copied());
    for (path, format) in all {
        save(path, &Drawing { format, ..Drawing::default() }, &recorded)?;
    }
    out.line("");
    out.write(format_args!("{}", render::text(&ladder, &terminal_text(None, false))));
    out.line("");
    let differences = reference::compare(&ladder.plain_rows(), places.offset);
    let dir = args.out.display();
    let more: String = outputs.iter().map(|(path, _)| format!(", {}", path.display())).collect();
    out.line(format_args!("Recorded and drawn: {dir}/session.jsonl, {dir}/session.txt, {dir}/session.svg{more}"));
    out.check()?;
    if !differences.is_empty() {
        let (n, all) = (differences.len(), differences.iter().map(|d| format!("\n{d}")).collect::<String>());
        bail!(Fault::new(Exit::Verification, format!("this was not the reference session: {n} messages differ{all}")));
    }
    let all = reference::messages().len();
    out.line(format_args!(
        "All {all} messages of the reference session happened, and readme.txt arrived byte for byte."
    ));
    Ok(Exit::Done)
}
