//! A program at a terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::support::Site;

/// Nothing here takes as long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program at a terminal of its own, and what it has written there.
pub(crate) struct Terminal {
    child: Child,
    keys: File,
    screen: Arc<(Mutex<String>, Condvar)>,
    /// What was read and found.
    seen: usize,
}

impl Terminal {
    /// A terminal that does not tell its size.
    pub(crate) fn start(site: &Site, args: &[&str]) -> Terminal {
        Terminal::sized(site, args, 0, 0)
    }

    pub(crate) fn sized(site: &Site, args: &[&str], columns: u16, rows: u16) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
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

    pub(crate) fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this is on the screen, behind what was waited for before; gives what came up to it.
    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) -> String {
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

    /// All that was written to it.
    pub(crate) fn screen(&self) -> String {
        self.screen.0.lock().unwrap().clone()
    }

    /// Whether lines are edited and keys shown, as a shell's user expects it.
    pub(crate) fn is_cooked(&self) -> bool {
        tcgetattr(&self.keys).unwrap().local_modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }

    pub(crate) fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    pub(crate) fn ends(&mut self) -> Option<i32> {
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
