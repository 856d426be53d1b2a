//! The doors of `entries.rs`, with bytes by chance, with words in which something was changed, and with what broke them once.
//!
//! To write what `fuzz/` begins with: `PORT21_WRITE_CORPUS=../../fuzz/corpus cargo test -p port21-proto --test fuzzed seeds`.

mod entries;

use std::path::Path;

use port21_proto::verb::VERBS;
use proptest::prelude::*;
use proptest::sample::Index;

use entries::ENTRIES;

/// What each door is likely to hear.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let texts: &[&str] = match name {
        "commands" => {
            let arguments = [
                "",
                "a b",
                "10,0,0,2,19,137",
                "|1|10.0.0.2|5001|",
                "|2|2001:db8::2|5001|",
                "A N",
                "I",
                "0",
                "\"a\" 0 9",
            ];
            let of_verb = |verb: &str| arguments.map(|argument| format!("{verb} {argument}\r\n")).concat();
            let more = "OPTS UTF8 ON\r\nSITE CHMOD 644 a\r\nMFF Modify=20050502210700;UNIX.mode=644; a\r\nRANG 0 9\r\nABOR\r\n";
            let all = VERBS.iter().map(|facts| of_verb(facts.name));
            return all
                .chain([more.to_owned()])
                .map(String::into_bytes)
                .chain([b"\xff\xf4\xff\xf2ABOR\r\n".to_vec()])
                .collect();
        }
        "replies" => &[
            "220 Ready\r\n",
            "220-Hello\r\nUSER anna\r\n and\r\nPASS hunter2\r\n220 Ready\r\n",
            "227 Entering Passive Mode (10,0,0,1,195,80).\r\n229 Entering (|||5002|)\r\n211-Features:\r\n MLST size*;\r\n211 End\r\n",
            "230-Hello\r\n220 Other\r\n",
            "AUTH TLS\r\nAUTH TLS\r\n234 Go\r\n",
        ],
        "listings" => &[
            "drwxr-xr-x 2 0 0 4096 May 2 2005 pub\r\n-rw-r--r-- 1 ftp ftp 1715 May 2 21:07 readme.txt\r\nlrwxrwxrwx 1 a b 3 Jan 1 00:00 l -> x\r\n",
            "type=file;size=1715;modify=20050502210700; readme.txt\r\ntype=dir; pub\r\n",
            "05-02-05  09:07PM       <DIR>          pub\r\n05-02-05  09:07PM                 1715 readme.txt\r\n",
            "+i8388621.48594,m825718503,r,s280,\tdjb.html\r\n",
            "README.TXT;1          4/4      2-MAY-2005 21:07:00  [A,B]    (RWED,RWED,RE,)\r\n",
            "Volume Unit    Referred Ext Used Recfm Lrecl BlkSz Dsorg Dsname\r\nWYOSPT 3420   2005/05/02  1  200  FB      80  8053  PS  48-MVS.FILE\r\n",
        ],
        _ => unreachable!("a door without a seed: {name}"),
    };
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[test]
fn seeds_come_through() {
    for (name, entry) in ENTRIES {
        for (n, seed) in seeds(name).iter().enumerate() {
            entry(seed);
            if let Some(corpus) = std::env::var_os("PORT21_WRITE_CORPUS") {
                let dir = Path::new(&corpus).join(name);
                std::fs::create_dir_all(&dir).unwrap();
                std::fs::write(dir.join(format!("seed-{n}")), seed).unwrap();
            }
        }
    }
}

/// Files of `found/NAME/` beside this: each has broken the door of that name.
#[test]
fn what_was_found_stays_mended() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzzed/found");
    for entry in std::fs::read_dir(&dir).into_iter().flatten() {
        let dir = entry.unwrap().path();
        let name = dir.file_name().unwrap().to_str().unwrap();
        let (_, take) = ENTRIES.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no door: {name}"));
        for file in std::fs::read_dir(&dir).unwrap() {
            take(&std::fs::read(file.unwrap().path()).unwrap());
        }
    }
}

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        for (_, entry) in ENTRIES {
            entry(&bytes);
        }
    }

    #[test]
    fn seeds_in_which_something_was_changed(
        which in any::<Index>(),
        changes in proptest::collection::vec((any::<Index>(), any::<u8>(), 0u8..3), 1..12),
    ) {
        for (name, entry) in ENTRIES {
            let mut bytes = which.get(&seeds(name)).clone();
            for (place, byte, how) in &changes {
                let at = place.index(bytes.len() + 1);
                match how {
                    0 => bytes.insert(at, *byte),
                    1 if at < bytes.len() => drop(bytes.remove(at)),
                    _ => bytes.get_mut(at).into_iter().for_each(|slot| *slot = *byte),
                }
            }
            entry(&bytes);
        }
    }
}
