//! What the console does with servers that are not as ours: gates, accounts, no passive mode.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;

use super::super::support::{feed, port21};

/// Serves one session by a script: what it answers to each line, up to QUIT. Gives all lines that came.
fn scripted(mut answer: impl FnMut(&str) -> String + Send + 'static) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut control, _) = listener.accept().unwrap();
        let lines = BufReader::new(control.try_clone().unwrap()).lines();
        control.write_all(b"220 here\r\n").unwrap();
        let mut came = Vec::new();
        for line in lines.map_while(Result::ok) {
            // The client may have gone meanwhile.
            let _ = control.write_all(format!("{}\r\n", answer(&line)).as_bytes());
            let is_last = line == "QUIT";
            came.push(line);
            if is_last {
                break;
            }
        }
        came
    });
    (address, thread)
}

fn usual(line: &str) -> &'static str {
    match line.split(' ').next().unwrap() {
        "USER" => "331 ?",
        "PASS" => "230 in",
        "TYPE" | "NOOP" => "200 ok",
        "QUIT" => "221 bye",
        _ => "502 no",
    }
}

#[track_caller]
fn run(script: &str) -> String {
    let here = tempfile::tempdir().unwrap();
    let mut command = port21(here.path());
    command.args(["shell", "--no-probe"]);
    feed(command, script).ok()
}

#[test]
fn a_gate_is_told_where_to_go_on_to() {
    let (gate, session) = scripted(|line| match line.split(' ').next().unwrap() {
        "PASSERVE" => "220 connected".to_owned(),
        _ => usual(line).to_owned(),
    });
    let out = run(&format!("gate {} {}\nopen ftp.example.org\nuser bob secret\n", gate.ip(), gate.port()));
    assert!(
        out.contains("Gate ftp: on, server 127.0.0.1") && out.contains("Connected via pass-through server"),
        "{out}"
    );
    assert_eq!(session.join().unwrap(), ["PASSERVE ftp.example.org", "USER bob", "PASS secret", "QUIT"]);
}

#[test]
fn accounts_are_sent_when_asked_for_and_when_given() {
    for asks in [true, false] {
        let (address, session) = scripted(move |line| match line.split(' ').next().unwrap() {
            "PASS" if asks => "332 account?".to_owned(),
            "ACCT" => "230 in".to_owned(),
            _ => usual(line).to_owned(),
        });
        run(&format!("open {} {}\nuser bob secret acct\naccount more\n", address.ip(), address.port()));
        assert_eq!(session.join().unwrap(), ["USER bob", "PASS secret", "ACCT acct", "ACCT more", "QUIT"], "{asks}");
    }
}

#[test]
fn where_there_is_no_passive_mode_active_mode_is_taken() {
    let serve = || {
        let mut to = None;
        scripted(move |line| match line.split_once(' ').map_or((line, ""), |(verb, rest)| (verb, rest)) {
            ("PORT", rest) => {
                let n: Vec<u16> = rest.split(',').map(|n| n.parse().unwrap()).collect();
                to = Some(n[4] * 256 + n[5]);
                "200 ok".to_owned()
            }
            ("RETR" | "LIST", _) => {
                let mut data = TcpStream::connect(("127.0.0.1", to.unwrap())).unwrap();
                data.write_all(b"-rw-r--r-- 1 a b 3 May  2  2005 x\r\n").unwrap();
                "150 here\r\n226 done".to_owned()
            }
            _ => usual(line).to_owned(),
        })
    };
    for command in ["ls", "get x", "mget x", "get x -"] {
        let (address, session) = serve();
        let out = run(&format!("verbose on\nopen {} {}\nuser bob secret\n{command}\n", address.ip(), address.port()));
        assert!(out.contains("trying active mode"), "{command}: {out}");
        let lines = session.join().unwrap();
        assert!(
            lines.iter().any(|line| line == "PASV") && lines.iter().any(|line| line.starts_with("PORT")),
            "{lines:?}"
        );
    }
    let (address, session) = serve();
    let here = tempfile::tempdir().unwrap();
    let mut command = port21(here.path());
    command.args(["shell", "--no-probe"]);
    let script = format!("passive on\nopen {} {}\nuser bob secret\nget x\n", address.ip(), address.port());
    feed(command, &script).fails(5);
    assert!(!session.join().unwrap().iter().any(|line| line.starts_with("PORT")));
    let (address, session) = serve();
    let here = tempfile::tempdir().unwrap();
    let mut command = port21(here.path());
    command.args(["shell", "--no-probe"]);
    let script = format!("passive off\npassive on\nopen {} {}\nuser bob secret\nls\n", address.ip(), address.port());
    feed(command, &script).fails(5);
    assert!(!session.join().unwrap().iter().any(|line| line.starts_with("PORT")));
}

/// The server has passive mode, and nobody gets through to what it offers.
#[test]
fn where_no_passive_connection_comes_to_stand_active_mode_is_taken() {
    let all = [("ls", true), ("get x", true), ("mget x", true), ("get x -", true), ("ls", false), ("get x", false)];
    for (command, works) in all {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut to = None;
        let (address, session) = scripted(move |line| match line.split_once(' ').unwrap_or((line, "")) {
            ("EPSV", _) => format!("229 ok (|||{closed}|)"),
            ("PASV", _) => format!("227 ok (127,0,0,1,{},{})", closed >> 8, closed & 255),
            ("PORT", _) if !works => "500 no".to_owned(),
            ("PORT", rest) => {
                let n: Vec<u16> = rest.split(',').map(|n| n.parse().unwrap()).collect();
                to = Some(n[4] * 256 + n[5]);
                "200 ok".to_owned()
            }
            ("RETR" | "LIST", _) if to.is_some() => {
                let mut data = TcpStream::connect(("127.0.0.1", to.unwrap())).unwrap();
                data.write_all(b"-rw-r--r-- 1 a b 3 May  2  2005 x\r\n").unwrap();
                "150 here\r\n226 done".to_owned()
            }
            ("RETR" | "LIST", _) => "425 nobody came".to_owned(),
            ("ABOR", _) => "226 stopped".to_owned(),
            _ => usual(line).to_owned(),
        });
        let here = tempfile::tempdir().unwrap();
        let mut shell = port21(here.path());
        shell.args(["shell", "--no-probe"]);
        let script =
            format!("open {} {}\nuser bob secret\n-{command}\nstatus\n{command}\n", address.ip(), address.port());
        let ran = feed(shell, &script);
        let mode = if works { "Passive mode: off" } else { "Passive mode: on" };
        assert!(ran.out.contains(mode), "{command}: {ran:?}");
        let told = "No passive data connection comes to stand: trying active mode.";
        assert!(ran.err.contains(told) || ran.out.contains(told), "{command}: {ran:?}");
        assert_eq!(ran.code == Some(0), works, "{command}: {ran:?}");
        let heard = session.join().unwrap();
        assert!(heard.iter().any(|line| line.starts_with("PORT")), "{command}: {heard:?}");
    }
}
