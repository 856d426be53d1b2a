//! A server that does what a test says, in as many sessions as come.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// So long the server waits for anything; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The server. Its threads end with the sessions.
pub(crate) struct Scripted {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

/// A session of it.
pub(crate) struct Session {
    control: TcpStream,
    passive: TcpListener,
    /// For the script: where the next transfer begins.
    pub(crate) offset: usize,
    /// What it says behind transfers.
    pub(crate) farewell: &'static str,
}

impl Scripted {
    /// Every command goes to the script, which answers it, or leaves it to [`Session::usual`].
    pub(crate) fn start(script: impl Fn(&mut Session, &str) + Send + Sync + 'static) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let (log, script) = (heard.clone(), Arc::new(script));
        std::thread::spawn(move || {
            while let Ok((control, _)) = listener.accept() {
                let (log, script) = (log.clone(), script.clone());
                std::thread::spawn(move || serve(control, &log, &*script));
            }
        });
        Scripted { address, heard }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("ftp://{}/{path}", self.address)
    }

    /// The commands of all sessions.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// How many of the commands began so.
    pub(crate) fn count(&self, head: &str) -> usize {
        self.heard().iter().filter(|line| line.starts_with(head)).count()
    }
}

fn serve(control: TcpStream, log: &Mutex<Vec<String>>, script: &(impl Fn(&mut Session, &str) + ?Sized)) {
    control.set_read_timeout(Some(PATIENCE)).unwrap();
    control.set_write_timeout(Some(PATIENCE)).unwrap();
    let lines = BufReader::new(control.try_clone().unwrap()).lines();
    let passive = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut session = Session { control, passive, offset: 0, farewell: "226 done" };
    session.say("220 here");
    for line in lines {
        // A client that has had enough resets the connection.
        let Ok(line) = line else { return };
        log.lock().unwrap().push(line.clone());
        script(&mut session, &line);
        if line == "QUIT" {
            return;
        }
    }
}

impl Session {
    pub(crate) fn say(&mut self, text: &str) {
        self.raw(format!("{text}\r\n").as_bytes());
    }

    /// Whether anybody still listens.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> bool {
        self.control.write_all(bytes).is_ok()
    }

    /// What a plain old server says.
    pub(crate) fn usual(&mut self, line: &str) {
        match line.split(' ').next().unwrap() {
            "USER" => self.say("331 ?"),
            "PASS" => self.say("230 in"),
            "TYPE" | "CWD" | "NOOP" | "DELE" | "RMD" | "REST" => self.say("250 ok"),
            "PWD" | "MKD" => self.say("257 \"/\" is it"),
            "EPSV" => {
                // A port of its own for each: whoever only tried the one before is not in the way.
                let port = self.listen();
                self.say(&format!("229 ok (|||{port}|)"));
            }
            "QUIT" => self.say("221 bye"),
            _ => self.say("502 no"),
        }
    }

    /// A port of its own for the next transfer.
    pub(crate) fn listen(&mut self) -> u16 {
        self.passive = TcpListener::bind("127.0.0.1:0").unwrap();
        self.passive.local_addr().unwrap().port()
    }

    /// The data connection.
    pub(crate) fn accept(&mut self) -> TcpStream {
        let (data, _) = self.passive.accept().unwrap();
        data.set_write_timeout(Some(PATIENCE)).unwrap();
        data.set_read_timeout(Some(PATIENCE)).unwrap();
        data
    }

    /// Ends the control connection.
    pub(crate) fn end(&mut self) {
        let _ = self.control.shutdown(Shutdown::Both);
    }

    /// Sends this over a data connection, with all that is said about it.
    pub(crate) fn transfer(&mut self, bytes: &[u8]) {
        let mut data = self.accept();
        self.say("150 here it comes");
        // A client that has had enough closes it.
        let _ = data.write_all(bytes);
        drop(data);
        self.say(self.farewell);
    }
}
