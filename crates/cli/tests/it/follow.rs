//! Recordings drawn while they are written, and sessions of an interface while they go on.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use port21_proto::Time;
use port21_proto::event::EventKind;
use port21_trace::Session;
use port21_trace::input::{self, Input};
use port21_trace::recording::RecordedSession;

use super::support::{Site, port21};

/// Longer than any of it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command whose output is read as it comes.
struct Following {
    child: Child,
    lines: Receiver<String>,
    seen: String,
}

impl Following {
    fn start(mut command: Command) -> Following {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = lines(child.stdout.take().unwrap());
        Following { child, lines, seen: String::new() }
    }

    /// Waits for a line that holds this.
    #[track_caller]
    fn until(&mut self, word: &str) {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.seen.push_str(&(line.clone() + "\n")),
                Err(why) => panic!("no {word:?} ({why}):\n{}", self.seen),
            }
            if self.seen.lines().last().is_some_and(|line| line.contains(word)) {
                return;
            }
        }
    }

    fn interrupt(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    }

    /// All that was printed, and the exit code.
    fn end(mut self) -> (String, Option<i32>) {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.seen.push_str(&(line + "\n"));
        }
        let code = self.child.wait().unwrap().code();
        (std::mem::take(&mut self.seen), code)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(out: ChildStdout) -> Receiver<String> {
    let (to, from) = channel();
    std::thread::spawn(move || {
        let lines = BufReader::new(out).lines();
        lines.map_while(Result::ok).try_for_each(|line| to.send(line))
    });
    from
}

fn follow(here: &Path, more: &[&str]) -> Following {
    let mut command = port21(here);
    command.args(["trace", "--follow", "s.jsonl", "--width", "100"]).args(more);
    Following::start(command)
}

/// A recording of a whole session.
fn recorded(site: &Site) -> Vec<String> {
    site.run(&["get", "--trace", "whole.jsonl", &site.bob("pub/readme.txt")]).ok();
    let text = std::fs::read_to_string(site.local("whole.jsonl")).unwrap();
    text.lines().map(|line| line.to_owned() + "\n").collect()
}

#[test]
fn rows_are_drawn_as_the_recording_grows_until_the_session_ends() {
    let site = Site::start();
    let whole = recorded(&site);
    let login = whole.iter().position(|line| line.contains(r#""PASS""#)).unwrap();
    let mut file = File::create(site.local("s.jsonl")).unwrap();
    file.write_all(whole[..login].concat().as_bytes()).unwrap();
    let mut following = follow(site.local("").as_path(), &["--fail-on", "note"]);
    following.until("USER bob");
    // A line may come in parts.
    let rest = whole[login..].concat();
    let (some, more) = rest.split_at(20);
    file.write_all(some.as_bytes()).unwrap();
    file.write_all(more.as_bytes()).unwrap();
    following.until("RETR");
    let (seen, code) = following.end();
    assert!(seen.contains("The session has ended: the") && seen.contains("clear-password"), "{seen}");
    assert!(!seen.contains("secret") && !seen.contains('\x1b') && seen.matches("USER bob").count() == 1, "{seen}");
    assert_eq!(code, Some(8), "a password in clear text is a note");
}

#[test]
fn interrupting_says_that_the_session_goes_on() {
    let site = Site::start();
    let whole = recorded(&site);
    let login = whole.iter().position(|line| line.contains(r#""PASS""#)).unwrap();
    std::fs::write(site.local("s.jsonl"), whole[..login].concat()).unwrap();
    let mut following = follow(site.local("").as_path(), &[]);
    following.until("331");
    following.interrupt();
    let (seen, code) = following.end();
    assert!(seen.contains("The session had not ended"), "{seen}");
    assert_eq!(code, Some(0));
}

#[test]
fn a_recording_that_is_cut_or_replaced_is_read_on() {
    let site = Site::start();
    let whole = recorded(&site);
    let login = whole.iter().position(|line| line.contains(r#""PASS""#)).unwrap();
    let begin = whole[..login].concat();
    // What a program left half written.
    std::fs::write(site.local("s.jsonl"), format!("{begin}{}", &whole[login][..30])).unwrap();
    let mut following = follow(site.local("").as_path(), &[]);
    following.until("USER bob");
    let file = OpenOptions::new().write(true).truncate(true).open(site.local("s.jsonl")).unwrap();
    drop(file);
    // Only once that was seen it is written to again: else it might have its old length before it is looked at.
    let about = site.local("s.jsonl");
    let mut file = OpenOptions::new().append(true).open(&about).unwrap();
    file.write_all(whole[0].as_bytes()).unwrap();
    file.write_all(whole[1..login].concat().replace("bob", "ben").as_bytes()).unwrap();
    following.until("USER ben");
    std::fs::write(site.local("next.jsonl"), whole.concat().replace("bob", "eve")).unwrap();
    std::fs::rename(site.local("next.jsonl"), &about).unwrap();
    following.until("USER eve");
    following.interrupt();
    let (seen, code) = following.end();
    assert!(seen.contains("Session 3"), "{seen}");
    assert_eq!(code, Some(0), "{seen}");
}

#[test]
fn what_cannot_be_followed_is_said() {
    let site = Site::start();
    site.run(&["trace", "--follow", "none.jsonl"]).fails(1);
    site.run(&["trace", "--follow", "a.jsonl", "b.jsonl"]).fails(2);
    let error = site.feed(&["trace", "--follow", "-"], "no recording\n").fails(1);
    assert!(error.contains("not a port21 recording"), "{error}");
    let whole = recorded(&site).concat();
    let piped = site.feed(&["trace", "--follow", "-", "--session", "1"], &whole).ok();
    assert!(piped.contains("RETR pub/readme.txt"), "{piped}");
}

/// The sessions of a file.
fn sessions(path: &Path) -> Vec<RecordedSession> {
    let bytes = Box::new(File::open(path).unwrap());
    let recording = input::read([Input { name: path.display().to_string(), bytes }]).unwrap();
    assert!(recording.notes.is_empty(), "{:?}", recording.notes);
    recording.sessions
}

/// What the recordings of both sides and a capture of one session have to agree on: commands in their order, replies in
/// theirs (what was sent ahead crosses on its way; the blank before inner lines is the protocol's), and of each transfer its verb, bytes, and the ends of its connection.
fn essence(session: &RecordedSession) -> [Vec<String>; 3] {
    let commands = session.events.iter().filter_map(|event| match &event.kind {
        EventKind::Command { verb, argument, .. } => Some(format!("{verb} {}", String::from_utf8_lossy(argument))),
        _ => None,
    });
    let replies = session.events.iter().filter_map(|event| match &event.kind {
        EventKind::Reply { code, lines, .. } => Some(format!(
            "{code} {}",
            lines.iter().map(|l| String::from_utf8_lossy(l.trim_ascii()) + " ").collect::<String>()
        )),
        EventKind::Malformed { why, .. } => Some(format!("! {why}")),
        _ => None,
    });
    let linked = Session::from_events(session.events.iter().cloned());
    let transfers = linked.transfers().iter().map(|transfer| {
        let connection = transfer.connection.and_then(|id| linked.connection(id));
        let ends = connection.map(|connection| (connection.opener, connection.client, connection.server));
        format!("{} {} {ends:?}", transfer.verb, transfer.bytes)
    });
    [commands.collect(), replies.collect(), transfers.collect()]
}

/// The decoder agrees with both ends' own recordings of the same sessions.
#[cfg(target_os = "linux")]
#[test]
fn a_capture_of_loopback_agrees_with_what_both_ends_recorded() {
    agrees("lo");
}

#[cfg(target_os = "linux")]
#[test]
fn a_capture_of_all_interfaces_agrees_with_what_both_ends_recorded() {
    agrees("any");
}

#[cfg(target_os = "linux")]
fn agrees(interface: &str) {
    let site = Site::with_flags(&["--record", "records"]);
    let mut command =
        site.command(&["trace", "--live", interface, "--port", site.port(), "-w", "lo.pcapng", "--width", "140"]);
    let why = File::create(site.local("why.txt")).unwrap();
    let mut child = command.stdout(Stdio::piped()).stderr(why).spawn().unwrap();
    let lines = lines(child.stdout.take().unwrap());
    let mut live = Following { child, lines, seen: String::new() };
    // It says when it listens: what comes then is seen.
    if live.lines.recv_timeout(PATIENCE).is_err() {
        let why = std::fs::read_to_string(site.local("why.txt")).unwrap();
        assert!(["CAP_NET_RAW", "packet sockets", "no such interface"].iter().any(|word| why.contains(word)), "{why}");
        eprintln!("skipped, since packets cannot be captured here: {why}");
        return;
    }
    let big: Vec<u8> = (0..3_000_000_u32).map(|n| (n / 7) as u8).collect();
    std::fs::write(site.local("big.bin"), &big).unwrap();
    site.run(&["get", "--trace", "1.jsonl", &site.bob("pub/readme.txt")]).ok();
    live.until("has ended");
    site.run(&["put", "--active", "--trace", "2.jsonl", "big.bin", &site.bob("pub/big.bin")]).ok();
    live.until("has ended");
    site.run(&["ls", "--trace", "3.jsonl", &site.guest("pub/")]).ok();
    live.until("has ended");
    live.interrupt();
    let (seen, code) = live.end();
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("3,000,000 bytes") && seen.contains("Session 3") && !seen.contains("secret"), "{seen}");
    assert!(!seen.contains("FAULT"), "{seen}");

    let captured = sessions(&site.local("lo.pcapng"));
    let captured: Vec<_> = captured.iter().filter(|session| is_at(session, site.port())).collect();
    let mut served: Vec<RecordedSession> = std::fs::read_dir(site.local("records"))
        .unwrap()
        .flat_map(|entry| sessions(&entry.unwrap().path()))
        .filter(|session| !session.events.is_empty())
        .collect();
    served.sort_by_key(|session| session.events.first().map_or(Time::ZERO, |event| event.at));
    assert_eq!((captured.len(), served.len()), (3, 3));
    for (n, (captured, served)) in captured.into_iter().zip(&served).enumerate() {
        let client = sessions(&site.local(&format!("{}.jsonl", n + 1))).remove(0);
        assert_eq!(essence(&client), essence(captured), "the client's, {n}");
        assert_eq!(essence(served), essence(captured), "the server's, {n}");
    }
}

/// Whether this is a session with the server on this port: others may use the interface as well.
#[cfg(target_os = "linux")]
fn is_at(session: &RecordedSession, port: &str) -> bool {
    let linked = Session::from_events(session.events.iter().cloned());
    linked.control().and_then(|c| c.server).is_some_and(|server| server.port().to_string() == port)
}

/// Whoever may not capture is told what it needs.
#[cfg(target_os = "linux")]
#[test]
fn capturing_without_the_right_to_names_the_capability() {
    use std::os::unix::process::CommandExt as _;
    let site = Site::start();
    let mut command = site.command(&["trace", "--live", "lo"]);
    command.current_dir("/");
    if rustix::process::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    match command.output() {
        Ok(output) => {
            let error = String::from_utf8(output.stderr).unwrap();
            assert!(error.contains("CAP_NET_RAW") && error.contains("setcap"), "{error}");
            assert_ne!(output.status.code(), Some(0));
        }
        Err(error) => eprintln!("skipped, since nobody cannot start the program here: {error}"),
    }
}

#[test]
fn what_cannot_be_captured_is_said() {
    let site = Site::start();
    let error = site.run(&["trace", "--live", "nowhere0"]);
    assert!(error.err.contains("there is no such interface") || error.err.contains("Linux"), "{error:?}");
    assert_ne!(error.code, Some(0));
    assert_eq!(site.run(&["trace", "--live", "lo", "x.jsonl"]).code, Some(2));
    assert_eq!(site.run(&["trace", "-w", "x.pcapng", "x.jsonl"]).code, Some(2));
}
