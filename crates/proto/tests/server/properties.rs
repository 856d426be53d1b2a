//! What holds for every session, whatever is sent and in whatever order the driver answers.

use std::time::Duration;

use port21_proto::Time;
use port21_proto::server::{Described, Opened, Outcome, StorageError, TransferError, Transferred};
use proptest::prelude::*;

use crate::bench::Bench;

const LINES: &[&str] = &[
    "NOOP",
    "PWD",
    "EPSV",
    "PASV",
    "PORT 192,0,2,1,19,137",
    "RETR readme.txt",
    "RETR nosuch",
    "STOR x",
    "APPE x",
    "STOU",
    "LIST",
    "NLST *.txt",
    "MLSD",
    "ABOR",
    "STAT",
    "STAT /",
    "CWD pub",
    "CWD nosuch",
    "REST 5",
    "TYPE I",
    "TYPE A",
    "RNFR readme.txt",
    "RNTO y",
    "DELE readme.txt",
    "MKD d",
    "SIZE readme.txt",
    "MLST",
    "FEAT",
    "NOSUCH",
    "ALLO 99",
    "USER root",
    "PASS secret",
    "REIN",
    "CDUP",
    "OPTS MLST size;",
    "",
];

#[derive(Clone, Debug)]
enum Step {
    Say(&'static str),
    /// Answers the oldest held operation; the number says how.
    Answer(u8),
    Connected,
    Eof,
    Shutdown,
    Seconds(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => proptest::sample::select(LINES).prop_map(Step::Say),
        4 => any::<u8>().prop_map(Step::Answer),
        1 => Just(Step::Connected),
    ];
    proptest::collection::vec(step, 0..60)
}

/// Mostly transfers, and all that can befall them.
fn steps_to_an_end() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => proptest::sample::select(&["EPSV", "PASV", "RETR readme.txt", "STOR x", "STOU", "LIST"][..]).prop_map(Step::Say),
        2 => proptest::sample::select(LINES).prop_map(Step::Say),
        1 => proptest::sample::select(&["ABOR", "QUIT"][..]).prop_map(Step::Say),
        6 => any::<u8>().prop_map(Step::Answer),
        1 => prop_oneof![Just(Step::Eof), Just(Step::Shutdown), (1u64..400).prop_map(Step::Seconds)],
    ];
    proptest::collection::vec(step, 0..40)
}

fn take(bench: &mut Bench, step: Step) {
    match step {
        Step::Say(line) => bench.say(&format!("{line}\r\n")),
        Step::Answer(how) => answer(bench, how),
        Step::Connected => {
            if let Some(&op) = bench.held.keys().next() {
                bench.session.handle_connected(bench.now, op);
            }
        }
        Step::Eof => bench.eof(),
        Step::Shutdown => {
            bench.session.handle_shutdown(bench.now);
            bench.say("");
        }
        Step::Seconds(seconds) => bench.pass(Duration::from_secs(seconds)),
    }
}

fn answer(bench: &mut Bench, how: u8) {
    let Some((&op, action)) = bench.held.iter().next() else { return };
    use port21_proto::server::Action::*;
    let outcome = match (action, how % 4) {
        (Transfer { .. }, 0) => {
            Outcome::Transferred(Transferred { bytes: 9, digest: None, result: Err(TransferError::Cancelled) })
        }
        (Transfer { .. }, 1) => Outcome::Transferred(Transferred {
            bytes: 9,
            digest: None,
            result: Err(TransferError::Broken("reset".into())),
        }),
        (Transfer { .. }, _) => Outcome::Transferred(Transferred { bytes: 9, digest: None, result: Ok(()) }),
        (Open { .. } | List(_), 0) => Outcome::Opened(Err(StorageError::NotFound)),
        (Open { .. } | List(_), _) => Outcome::Opened(Ok(Opened::default())),
        (Create { .. }, 0) => Outcome::Created(Err(StorageError::Busy)),
        (Create { path, .. }, _) => Outcome::Created(Ok(path.clone())),
        (Authenticate { .. } | Recognise { .. }, _) => Outcome::Login(Err(port21_proto::server::LoginError::Refused)),
        (Listen { .. }, 0) => Outcome::Listening(Err(port21_proto::server::DataError::NoPort)),
        (Listen { .. }, _) => Outcome::Listening(Ok("192.0.2.21:50000".parse().unwrap())),
        (Size { .. }, 0) => Outcome::Size(Ok(1)),
        (Describe(_), 0) => Outcome::Described(Ok(Described::default())),
        (_, 0) => Outcome::Done(Err(StorageError::Denied)),
        (_, _) => Outcome::Done(Ok(())),
    };
    bench.answer(op, outcome);
}

proptest! {
    #[test]
    fn every_command_has_one_final_reply_and_all_come_to_an_end(steps in steps(), hold in any::<bool>()) {
        let mut bench = Bench::logged_in("root");
        bench.hold_all = hold;
        let (mut commands, mut finals) = (0, 0);
        let mut count = |bench: &mut Bench| {
            finals += bench.reply_codes().iter().filter(|code| **code >= 200).count();
        };
        for step in steps {
            if bench.closed {
                break;
            }
            commands += usize::from(matches!(step, Step::Say(_)));
            take(&mut bench, step);
            // One command at a time: never two operations under way.
            prop_assert!(bench.held.len() <= 1, "{:?}", bench.held);
            count(&mut bench);
        }
        for _ in 0..1000 {
            if bench.held.is_empty() || bench.closed {
                break;
            }
            answer(&mut bench, 3);
            count(&mut bench);
        }
        if !bench.closed {
            prop_assert!(bench.held.is_empty());
            prop_assert_eq!(finals, commands);
            bench.eof();
        }
        prop_assert!(bench.closed);
    }

    /// Whatever happens and whenever (the bench looks at each thing that is asked for): in the end nothing is open, and no
    /// upload was given its name behind an ABOR or the client's end.
    #[test]
    fn nothing_is_left_open_and_no_part_is_taken_for_the_whole(
        steps in steps_to_an_end(),
        hold in any::<bool>(),
    ) {
        let mut bench = Bench::logged_in("root");
        bench.hold_all = hold;
        for step in steps {
            if !bench.closed {
                take(&mut bench, step);
            }
        }
        while !bench.closed && !bench.held.is_empty() {
            answer(&mut bench, 3);
        }
        prop_assert!(bench.closed || bench.until < Time::MAX, "a wait without an end");
        bench.say("REIN\r\n");
        prop_assert!(bench.closed || bench.kept.is_empty(), "{:?}", bench.kept);
    }

    #[test]
    fn no_bytes_and_no_cut_do_harm(bytes: Vec<u8>, cut in 1usize..50) {
        let mut bench = Bench::logged_in("root");
        for segment in bytes.chunks(cut) {
            bench.feed(segment);
        }
        while let (Some(_), false) = (bench.held.keys().next(), bench.closed) {
            answer(&mut bench, 3);
        }
        bench.eof();
        prop_assert!(bench.closed);
    }
}
