//! Interrupted uploads that are gone on with: what comes out is the whole file, or there is none; never a mixture.

use std::io::{Cursor, Write};
use std::net::TcpStream;
use std::time::Duration;

use port21_proto::server::Receipt;
use suppaftp::FtpStream;
use suppaftp::types::FileType;

use crate::site::{Raw, Site, noise};

/// How an upload is cut.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// The data connection is reset.
    DataReset,
    /// Both are.
    BothReset,
    /// What the system does for a client that was killed: both end in order. (The control connection first: that the
    /// other order is seen for what it is takes a wait, which no test can promise to keep.)
    Killed,
    /// The client says so.
    Abor,
}

const CUTS: [Cut; 4] = [Cut::DataReset, Cut::BothReset, Cut::Killed, Cut::Abor];

/// Sends some bytes for `STOR name`, all of which arrive, and is cut.
fn leave_part(site: &Site, name: &str, bytes: &[u8], cut: Cut) {
    cut_when(site, name, bytes, cut, || {
        let mut raw = image(site);
        while size(&mut raw, name) != Some(bytes.len()) {
            std::thread::yield_now();
        }
        raw.send("QUIT\r\n");
        site.wait_for_the_end();
    });
}

/// Sends some bytes for `STOR name` and is cut at once.
fn cut_short(site: &Site, name: &str, bytes: &[u8], cut: Cut) {
    cut_when(site, name, bytes, cut, || ());
}

fn cut_when(site: &Site, name: &str, bytes: &[u8], cut: Cut, wait: impl Fn()) {
    let mut raw = site.login();
    raw.command("TYPE I", 200);
    let mut data = raw.passive();
    raw.command(&format!("STOR {name}"), 150);
    data.write_all(bytes).unwrap();
    wait();
    let reset = |stream: &TcpStream| socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
    match cut {
        Cut::DataReset => {
            reset(&data);
            drop(data);
            raw.expect(426);
            return raw.send("QUIT\r\n");
        }
        Cut::BothReset => {
            reset(&data);
            reset(raw.socket());
            drop((data, raw));
        }
        Cut::Killed => {
            drop(raw);
            drop(data);
        }
        Cut::Abor => {
            raw.command("ABOR", 426);
            raw.expect(226);
            drop(data);
            return raw.send("QUIT\r\n");
        }
    }
    site.wait_for_the_end();
}

/// The size that SIZE tells, if any.
fn size(raw: &mut Raw, name: &str) -> Option<usize> {
    raw.send(format!("SIZE {name}\r\n"));
    match raw.reply() {
        (213, text) => Some(text[4..].trim().parse().unwrap()),
        (550, _) => None,
        other => panic!("{other:?}"),
    }
}

fn image(site: &Site) -> Raw {
    let mut raw = site.login();
    raw.command("TYPE I", 200);
    raw
}

#[test]
fn cut_anywhere_in_any_way_and_gone_on_with() {
    let whole = noise(700_000);
    for (n, sent) in [1, 1000, 65_536, 300_000, 699_999].into_iter().enumerate() {
        for cut in CUTS {
            for cut_at_once in [false, true] {
                let site = Site::new();
                if cut_at_once {
                    cut_short(&site, "new", &whole[..sent], cut);
                } else {
                    leave_part(&site, "new", &whole[..sent], cut);
                }
                assert!(!site.file("new").exists(), "{cut:?} after {sent}");
                let mut raw = image(&site);
                let there = size(&mut raw, "new");
                assert!(there == Some(sent) || cut_at_once && there.unwrap_or(0) <= sent, "{cut:?} after {sent}");
                let there = there.unwrap_or(0);
                if n % 2 == 0 {
                    raw.command(&format!("REST {there}"), 350);
                    raw.store("STOR new", &whole[there..]);
                } else {
                    raw.store("APPE new", &whole[there..]);
                }
                assert!(site.read("new") == whole, "{cut:?} after {sent}");
                assert_eq!(site.names(), ["new"]);
            }
        }
    }
}

#[test]
fn over_a_file_the_old_one_stays_and_nothing_is_kept() {
    let whole = noise(300_000);
    for sent in [0, 1, 65_536, 299_999] {
        for (cut, cut_at_once) in CUTS.into_iter().flat_map(|cut| [(cut, false), (cut, true)]) {
            let site = Site::new();
            site.write("there", "old");
            cut_when(&site, "there", &whole[..sent], cut, || {
                while !cut_at_once && site.aside() < sent as u64 {
                    std::thread::yield_now();
                }
            });
            assert_eq!(site.read("there"), b"old", "{cut:?} after {sent}");
            assert_eq!(site.names(), ["there"]);
            let mut raw = image(&site);
            assert_eq!(size(&mut raw, "there"), Some(3));
            if cut_at_once || sent == 0 {
                continue;
            }
            // Clients go on with what SIZE tells: the old file's beginning and the new one's end would be neither.
            raw.command("EPSV", 229);
            raw.command("APPE there", 554);
            raw.command("EPSV", 229);
            raw.command("REST 3", 350);
            raw.command("STOR there", 554);
            assert_eq!(site.read("there"), b"old");
            raw.command("EPSV", 229);
            raw.store("STOR there", &whole);
            assert!(site.read("there") == whole);
        }
    }
}

#[test]
fn what_broke_off_over_a_file_is_not_combined_with_it() {
    let site = Site::new();
    for name in ["there", "part", "whole"] {
        site.write(name, name);
    }
    cut_when(&site, "there", b"new", Cut::DataReset, || {
        while site.aside() < 3 {
            std::thread::yield_now();
        }
    });
    let mut raw = image(&site);
    raw.command("COMB there part", 554);
    raw.command("COMB whole part there", 554);
    raw.command("COMB none part there", 554);
    for name in ["there", "part", "whole"] {
        assert_eq!(site.read(name), name.as_bytes());
    }
    assert_eq!(site.names(), ["part", "there", "whole"]);
    raw.command("EPSV", 229);
    raw.store("STOR there", b"new");
    raw.command("COMB whole part there", 250);
    assert_eq!(site.read("whole"), b"wholepartnew");
}

#[test]
fn by_a_client_that_others_wrote() {
    let whole = noise(500_000);
    for append in [false, true] {
        let site = Site::new();
        leave_part(&site, "new", &whole[..200_000], Cut::Abor);
        let mut ftp = FtpStream::connect(site.addr).unwrap();
        ftp.login("user", "secret").unwrap();
        ftp.transfer_type(FileType::Binary).unwrap();
        let there = ftp.size("new").unwrap();
        assert!(there > 0);
        if append {
            ftp.append_file("new", &mut Cursor::new(&whole[there..])).unwrap();
        } else {
            ftp.resume_transfer(there).unwrap();
            ftp.put_file("new", &mut Cursor::new(&whole[there..])).unwrap();
        }
        assert!(site.read("new") == whole);
    }
}

#[test]
fn a_part_is_seen_by_size_and_mlst_alone() {
    let site = Site::new();
    leave_part(&site, "new", &noise(1000), Cut::Abor);
    let mut raw = image(&site);
    let there = size(&mut raw, "new").unwrap();
    assert!(raw.command("MLST new", 250).contains(&format!(" type=file;size={there}; /new\r\n")));
    for command in ["LIST -a", "NLST", "MLSD", "LIST new"] {
        let listed = String::from_utf8(raw.fetch_or(command)).unwrap();
        assert!(!listed.contains("new") && !listed.contains("port21"), "{command}: {listed}");
    }
    raw.command("EPSV", 229);
    raw.command("RETR new", 550);
    raw.command("MDTM new", 550);
    raw.command("RNFR new", 550);
    raw.command("TYPE A", 200);
    raw.command("SIZE new", 550);
    raw.command("DELE new", 250);
    raw.command("DELE new", 550);
    assert!(site.names().is_empty());
}

#[test]
fn who_was_not_told_begins_afresh() {
    let whole = noise(1000);
    for command in ["STOR new", "APPE new"] {
        let site = Site::new();
        leave_part(&site, "new", &whole, Cut::Abor);
        let mut raw = image(&site);
        raw.store(command, b"another file");
        assert_eq!(site.read("new"), b"another file");
        assert_eq!(site.names(), ["new"]);
    }
    let site = Site::new();
    leave_part(&site, "new", &whole, Cut::Abor);
    let mut raw = image(&site);
    let there = size(&mut raw, "new").unwrap();
    // Told, and then another offset; that has used up what was told.
    for offset in [there - 1, there + 1, there] {
        raw.command("EPSV", 229);
        raw.command(&format!("REST {offset}"), 350);
        raw.command("STOR new", 554);
    }
    assert_eq!(size(&mut raw, "new"), Some(there));
    raw.command("EPSV", 229);
    raw.command("REST 0", 350);
    raw.store("STOR new", b"afresh");
    assert_eq!(site.read("new"), b"afresh");
}

/// Two sessions of one account break off at the same size, a record or a limit; the part is the later one's.
#[test]
fn what_two_sessions_have_begun_is_never_mixed() {
    let site = Site::new();
    leave_part(&site, "new", b"AAAAAAAA", Cut::DataReset);
    let mut first = image(&site);
    assert_eq!(size(&mut first, "new"), Some(8));
    let mut second = image(&site);
    let mut data = second.passive();
    second.command("STOR new", 150);
    data.write_all(b"BBBBBBBB").unwrap();
    let mut third = image(&site);
    assert!((0..1_000_000).any(|_| size(&mut third, "new") == Some(8)), "the bytes do not come");
    second.command("ABOR", 426);
    second.expect(226);
    first.command("EPSV", 229);
    first.command("APPE new", 554);
    assert_eq!(size(&mut first, "new"), Some(8));
    first.command("DELE new", 250);
    first.store("STOR new", b"AAAAAAAAaaaa");
    assert_eq!(site.read("new"), b"AAAAAAAAaaaa");
}

#[test]
fn an_upload_of_text_leaves_nothing_to_go_on_with() {
    let site = Site::new();
    let mut raw = site.login();
    let mut data = raw.passive();
    raw.command("STOR new", 150);
    data.write_all(b"a line\r\nand ha").unwrap();
    raw.command("ABOR", 426);
    raw.expect(226);
    raw.command("TYPE I", 200);
    assert_eq!(size(&mut raw, "new"), None);
    assert!(site.names().is_empty());
}

#[test]
fn a_stalled_upload_gives_way_to_its_own_retry() {
    let whole = noise(600_000);
    for over in [false, true] {
        let site = Site::new();
        if over {
            site.write("file", "old");
        }
        let mut stalled = image(&site);
        let mut data = stalled.passive();
        stalled.command("STOR file", 150);
        data.write_all(&whole[..400_000]).unwrap();
        // The client has lost its network here, and comes again; what it had sent has arrived.
        let mut raw = image(&site);
        if over {
            raw.store("STOR file", &whole);
        } else {
            while size(&mut raw, "file") != Some(400_000) {
                std::thread::yield_now();
            }
            raw.command("REST 400000", 350);
            raw.store("STOR file", &whole[400_000..]);
        }
        assert!(site.read("file") == whole);
        assert!(stalled.expect(426).contains("a newer upload"));
        assert_eq!(site.names(), ["file"]);
        drop(data);
    }
}

#[test]
fn a_lenient_account_may_hang_up_early() {
    for user in ["user", "scanner"] {
        let site = Site::new();
        let mut raw = site.connect();
        raw.log_in_as(user);
        raw.command("TYPE I", 200);
        let mut data = raw.passive();
        raw.command("STOR scan", 150);
        let whole = noise(200_000);
        data.write_all(&whole[..100_000]).unwrap();
        drop(raw);
        // The end of the control connection is known before the rest comes.
        site.wait_for(|kind| {
            use port21_proto::event::{ConnectionId, End, EventKind};
            matches!(kind, EventKind::Closed { connection: ConnectionId::CONTROL, by: End::Client, .. })
        });
        let rest = data.write_all(&whole[100_000..]);
        drop(data);
        site.wait_for_the_end();
        if user == "scanner" {
            rest.unwrap();
            assert!(site.read("scan") == whole);
        } else {
            assert!(!site.file("scan").exists());
        }
    }
}

#[test]
fn what_others_read_while_it_grows_is_there_from_the_first_byte() {
    let site = Site::new();
    std::fs::create_dir(site.file("logs")).unwrap();
    let mut raw = site.connect();
    raw.log_in_as("tailed");
    raw.command("TYPE I", 200);
    for (name, is_direct) in [("logs/grows", true), ("whole", false)] {
        let mut data = raw.passive();
        raw.command(&format!("STOR {name}"), 150);
        data.write_all(b"a line\n").unwrap();
        if is_direct {
            while std::fs::read(site.file(name)).unwrap() != b"a line\n" {
                std::thread::yield_now();
            }
        }
        assert_eq!(site.file(name).exists(), is_direct, "{name}");
        drop(data);
        raw.expect(226);
        assert_eq!(site.read(name), b"a line\n");
    }
}

#[test]
fn a_receipt_names_bytes_and_digest_of_what_came() {
    let whole = noise(300_000);
    let digest = |bytes: &[u8]| -> String {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
        hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let mut settings = Site::settings();
    settings.session.receipt = Receipt::Digest;
    let site = Site::with(settings);
    let mut raw = image(&site);
    for bytes in [&whole[..], b""] {
        let mut data = raw.passive();
        raw.command("STOR file", 150);
        data.write_all(bytes).unwrap();
        drop(data);
        let want = format!("226 Transfer complete ({} bytes, SHA-256 {}).\r\n", bytes.len(), digest(bytes));
        assert_eq!(raw.expect(226), want);
    }
    // Of an upload that goes on with a file: that of the file.
    std::fs::write(site.file("on"), &whole[..200_000]).unwrap();
    for (before, code, upload, bytes) in
        [("REST 200000", 350, "STOR on", &whole[200_000..]), ("NOOP", 200, "APPE on", b"more")]
    {
        let mut data = raw.passive();
        raw.command(before, code);
        raw.command(upload, 150);
        data.write_all(bytes).unwrap();
        drop(data);
        let told = raw.expect(226);
        let want = format!("({} bytes, SHA-256 {})", bytes.len(), digest(&site.read("on")));
        assert!(told.contains(&want), "{told}, not {want}");
    }
    // As it came over the wire, line ends and all.
    raw.command("TYPE A", 200);
    let mut data = raw.passive();
    raw.command("STOR text", 150);
    data.write_all(b"one\r\ntwo\r").unwrap();
    drop(data);
    assert!(raw.expect(226).contains(&digest(b"one\r\ntwo\r")));
    assert_eq!(site.read("text"), b"one\ntwo\r");
}

impl Site {
    /// How many bytes have come of the upload that is under way.
    fn aside(&self) -> u64 {
        let aside = self.names().into_iter().find(|name| name.starts_with(".port21-"));
        aside.map_or(0, |name| std::fs::metadata(self.file(&name)).unwrap().len())
    }
}

impl Raw {
    /// What a listing brings, or nothing where it is refused.
    fn fetch_or(&mut self, line: &str) -> Vec<u8> {
        let mut data = self.passive();
        self.send(format!("{line}\r\n"));
        if self.reply().0 != 150 {
            return Vec::new();
        }
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut data, &mut bytes).unwrap();
        drop(data);
        self.expect(226);
        bytes
    }
}
