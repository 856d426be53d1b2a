//! The doors of `entries.rs`, with bytes by chance, with sessions in which something was changed, and with what broke them once.
//!
//! To write what `fuzz/` begins with: `PORT21_WRITE_CORPUS=fuzz/corpus cargo test -p port21-trace --test trace seeds`.

use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::entries::ENTRIES;
use crate::events::{REFERENCE, reference};
use crate::packets::{Wire, ethernet, links, pcap, pcapng, query};

/// What each door is likely to hear.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let wire = Wire::of(&reference());
    let links = links();
    let files = || {
        let of_links = links.iter().enumerate().map(|(n, link)| pcap(&wire.packets, link, n % 2 == 0, n % 3 == 0));
        let next = [false, true].map(|big_endian| pcapng(&wire.packets, &links[0], big_endian));
        of_links.chain(next).chain([ethernet(&wire.packets), REFERENCE.to_vec()]).collect()
    };
    let as_plan = |link: u8, packets: &[(port21_proto::Time, Vec<u8>)]| {
        let one = |(_, packet): &(_, Vec<u8>)| {
            let [hi, lo] = (packet.len() as u16).to_be_bytes();
            [&[lo, hi, 1], packet.as_slice()].concat()
        };
        [vec![link], packets.iter().flat_map(one).collect()].concat()
    };
    match name {
        "captures" => files(),
        "compressed" => files().into_iter().map(|file| [&[0], file.as_slice()].concat()).collect(),
        "packets" => vec![as_plan(1, &wire.packets)],
        "reassembly" => vec![vec![0], (0..=90).collect(), (0..=254).rev().collect()],
        "names" => {
            let asked = query(7, "ftp.any-domain.com", true).to_vec().unwrap();
            vec![asked, crate::packets::answer(7, "ftp.any-domain.com", &["10.0.0.1".to_owned()])]
        }
        "recordings" => vec![REFERENCE.to_vec()],
        "drawing" => vec![
            b"\x01220 Ready\n\x00USER anna\n\x01331 Go on\n\x00PASS hunter2\n\x01230 In\n\x00TYPE I\n\x01200 Ok\n\
              \x00EPSV\n\x01229 Go (|||5002|)\n\x00RETR a\n\x01150 Here\n\x0c\x01\n\x0d\x02\n\x0ddata\n\x0d\x03\n\
              \x01226 Done\n\x00PORT 10,0,0,2,19,137\n\x01200 Ok\n\x00STOR b\n\x01150 Go\n\x0b\x01\n\x0a\x02\n\x0adata\n\
              \x0a\x03\n\x01226 Done\n\x00QUIT\n\x01221 Bye\n\x01\x03\n\x00\x03"
                .to_vec(),
            b"\x01220 Ready\n\x00AUTH TLS\n\x01234 Go\n\x00\x16\x03\x01".to_vec(),
        ],
        _ => unreachable!("a door without a seed: {name}"),
    }
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

/// Files of `tests/data/found/NAME/`: each has broken the door of that name.
#[test]
fn what_was_found_stays_mended() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/found");
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
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for (_, entry) in ENTRIES {
            entry(&bytes);
        }
    }

    #[test]
    fn seeds_in_which_something_was_changed(
        which in any::<Index>(),
        changes in proptest::collection::vec((any::<Index>(), any::<u8>(), 0u8..4), 1..24),
    ) {
        for (name, entry) in ENTRIES {
            let mut bytes = which.get(&seeds(name)).clone();
            for (place, byte, how) in &changes {
                let at = place.index(bytes.len() + 1);
                match how {
                    0 => bytes.insert(at, *byte),
                    1 => bytes.truncate(at.max(1)),
                    2 if at < bytes.len() => drop(bytes.remove(at)),
                    _ => bytes.get_mut(at).into_iter().for_each(|slot| *slot = *byte),
                }
            }
            entry(&bytes);
        }
    }
}
