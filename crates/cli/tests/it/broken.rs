//! Servers and users that break off in mid-transfer: no half file has a whole name.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};

use super::support::{Ran, port21};

/// What a server of few words does when it has sent half of a file.
#[derive(Clone, Copy)]
enum Then {
    /// It dies.
    Die,
    /// It goes on sending nothing.
    Stall,
}

/// Serves one session: a file of 1000 bytes, of which 500 come.
fn half_a_file(then: Then) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut control, _) = listener.accept().unwrap();
        let passive = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut lines = BufReader::new(control.try_clone().unwrap()).lines();
        let mut say = |text: &str| control.write_all(format!("{text}\r\n").as_bytes()).unwrap();
        say("220 here");
        while let Some(Ok(line)) = lines.next() {
            match line.split(' ').next().unwrap() {
                "USER" => say("331 ?"),
                "PASS" => say("230 in"),
                "TYPE" => say("200 ok"),
                "EPSV" => say(&format!("229 ok (|||{}|)", passive.local_addr().unwrap().port())),
                "RETR" => {
                    let (mut data, _) = passive.accept().unwrap();
                    say("150 Opening BINARY mode data connection for x (1000 bytes).");
                    data.write_all(&[7; 500]).unwrap();
                    return match then {
                        Then::Die => drop(data.shutdown(Shutdown::Both)),
                        Then::Stall => wait_for_end(&mut data),
                    };
                }
                _ => say("502 no"),
            }
        }
    });
    (address, thread)
}

fn wait_for_end(data: &mut TcpStream) {
    // A reset is an end too.
    let _ = data.read(&mut [0]);
}

#[test]
fn a_server_that_dies_leaves_a_part_and_the_old_file() {
    let (address, server) = half_a_file(Then::Die);
    let here = tempfile::tempdir().unwrap();
    std::fs::write(here.path().join("x"), "the old file").unwrap();
    let ran =
        Ran::new(port21(here.path()).args(["get", "--retry", "0", &format!("ftp://{address}/x")]).output().unwrap());
    let error = ran.fails(6);
    assert!(error.contains("500 bytes are kept"), "{error}");
    assert_eq!(std::fs::read(here.path().join("x")).unwrap(), b"the old file");
    assert_eq!(std::fs::read(here.path().join("x.port21-part")).unwrap(), [7; 500]);
    server.join().unwrap();
}

#[test]
fn an_interrupt_leaves_a_part_under_its_own_name() {
    let (address, server) = half_a_file(Then::Stall);
    let here = tempfile::tempdir().unwrap();
    let part = here.path().join("x.port21-part");
    let mut command = port21(here.path());
    command.args(["get", "--retry", "0", &format!("ftp://{address}/x")]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    // The signal is sent when the half has arrived.
    while part.metadata().map_or(0, |meta| meta.len()) < 500 {
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ran = Ran::new(child.wait_with_output().unwrap());
    assert!(ran.fails(6).contains("interrupted"));
    assert!(!here.path().join("x").exists() && part.exists());
    server.join().unwrap();
}
