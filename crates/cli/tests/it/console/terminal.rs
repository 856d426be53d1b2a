//! The console at a terminal: the prompt, bars, ^C, questions.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::super::support::Site;

/// Nothing here takes as long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program at a terminal of its own, and what it has written there.
struct Terminal {
    child: Child,
    keys: File,
    screen: Arc<(Mutex<String>, Condvar)>,
    /// What was read and found.
    seen: usize,
}

impl Terminal {
    fn start(site: &Site, args: &[&str]) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let open = || Stdio::from(OwnedFd::from(File::options().read(true).write(true).open(&path).unwrap()));
        // ^C is a signal for those only whose terminal it is: a session of its own, with it.
        let mut command = Command::new("setsid");
        command.arg("-c").arg(env!("CARGO_BIN_EXE_port21")).args(args);
        command.env_clear().env("HOME", site.local("")).env("TERM", "xterm").env("PATH", "/usr/bin:/bin");
        command.current_dir(site.local("")).stdin(open()).stdout(open()).stderr(open());
        let child = command.spawn().unwrap();
        let screen = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let (mut reader, shared) = (File::from(master.try_clone().unwrap()), screen.clone());
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            // At the program's end reading is an error.
            while let Ok(n @ 1..) = reader.read(&mut chunk) {
                shared.0.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..n]));
                shared.1.notify_all();
            }
        });
        Terminal { child, keys: File::from(master), screen, seen: 0 }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this is on the screen, behind what was waited for before; gives what came up to it.
    #[track_caller]
    fn shows(&mut self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        let mut screen = self.screen.0.lock().unwrap();
        loop {
            if let Some(at) = screen[self.seen..].find(text) {
                let end = self.seen + at + text.len();
                let came = screen[self.seen..end].to_owned();
                self.seen = end;
                return came;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{text:?} is not on the screen: {:?}", &screen[self.seen..]);
            screen = self.screen.1.wait_timeout(screen, left).unwrap().0;
        }
    }

    fn ends(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_interrupt_stops_the_transfer_and_keeps_the_session() {
    let site = Site::start();
    std::fs::File::create(site.remote("pub/big")).unwrap().set_len(1 << 30).unwrap();
    let mut terminal = Terminal::start(&site, &["shell", &site.bob("pub/")]);
    terminal.shows("port21> ");
    terminal.types("rate get 200k\r");
    terminal.shows("maximum: 204800");
    terminal.shows("port21> ");
    terminal.types("get big\r");
    // The bar: how far, of how much, how fast.
    terminal.shows("/1.00 GiB ");
    terminal.shows("KiB/s");
    terminal.types("\x03");
    terminal.shows("Interrupted.");
    terminal.shows("port21> ");
    terminal.types("pwd\r");
    terminal.shows("257 \"/pub\"");
    terminal.shows("port21> ");
    // It is the same session: nobody has logged in again.
    terminal.types("rate get 0\r");
    terminal.shows("port21> ");
    terminal.types("get readme.txt\r");
    terminal.shows("8 bytes received in");
    // ^C at the prompt ends nothing.
    terminal.shows("port21> ");
    terminal.types("\x03");
    terminal.shows("port21> ");
    terminal.types("bye\r");
    terminal.shows("221 ");
    let screen = terminal.screen.0.lock().unwrap().clone();
    assert_eq!(screen.matches("230 ").count(), 1, "{screen}");
    assert!(!site.local("big").exists());
    assert_eq!(terminal.ends(), Some(0));
}

#[test]
fn questions_colours_and_the_prompt() {
    let site = Site::start();
    for name in ["m1", "m2", "m3", "m4"] {
        std::fs::write(site.remote("pub").join(name), name).unwrap();
    }
    let mut terminal = Terminal::start(&site, &["shell", &site.bob("")]);
    terminal.shows("port21> ");
    terminal.types("set prompt \"%n at %/ > \"\r");
    terminal.shows("bob at / > ");
    terminal.types("ls\r");
    terminal.shows("\x1b[1;34mpub\x1b[0m");
    terminal.types("cd pub\r");
    terminal.shows("bob at /pub > ");
    terminal.types("mget m*\r");
    terminal.shows("mget m1 [anpqy?]? ");
    terminal.types("?\n");
    terminal.shows("mget m1 [anpqy?]? ");
    terminal.types("n\n");
    terminal.shows("mget m2 [anpqy?]? ");
    terminal.types("y\n");
    terminal.shows("mget m3 [anpqy?]? ");
    terminal.types("a\n");
    terminal.shows("Prompting off for duration of mget.");
    terminal.shows("bob at /pub > ");
    // What is missing is asked for.
    terminal.types("rename\r");
    terminal.shows("(from) ");
    terminal.types("m1\n");
    terminal.shows("(to) ");
    terminal.types("m9\n");
    terminal.shows("bob at /pub > ");
    terminal.types("macdef two\r");
    terminal.shows("macro> ");
    terminal.types("size m9\r");
    terminal.shows("macro> ");
    terminal.types("\r");
    terminal.shows("bob at /pub > ");
    terminal.types("$two\r");
    terminal.shows("m9\t2");
    terminal.shows("bob at /pub > ");
    terminal.types("edit off\r");
    terminal.shows("Editing mode off.");
    terminal.shows("bob at /pub > ");
    terminal.types("lpwd\n");
    terminal.shows("Local directory: ");
    terminal.shows("bob at /pub > ");
    terminal.types("\x04");
    terminal.shows("221 ");
    let got = |name: &str| site.local(name).exists();
    assert_eq!((got("m1"), got("m2"), got("m3"), got("m4")), (false, true, true, true));
    assert_eq!(terminal.ends(), Some(0));
}
