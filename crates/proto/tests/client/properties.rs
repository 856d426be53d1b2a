//! What holds for every session, whatever a server sends.

use port21_proto::client::{DataState, Outcome};
use port21_proto::op::OpId;
use proptest::prelude::*;

use crate::play::{Play, settings};

proptest! {
    /// Whatever a server sends, whenever: no panic, and each job's end is told once.
    #[test]
    fn hostile_servers(
        chunks in proptest::collection::vec(prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..20),
            "[1-6][0-9]{2}[ -][ -~]{0,12}\r\n".prop_map(String::into_bytes),
            Just(b"229 (|||5000|)\r\n".to_vec()),
            Just(b"227 1,2,3,4,5,6\r\n".to_vec()),
            Just(b"150 go\r\n".to_vec()),
            Just(b"226 ok\r\n".to_vec()),
            Just(b"234 go\r\n".to_vec()),
        ], 0..12),
        asks in proptest::collection::vec(0usize..11, 0..12),
    ) {
        let mut play = Play::new(settings());
        play.run("S: 220 hi");
        let (mut asked, mut aborted) = (1, 0);
        for (i, chunk) in chunks.iter().enumerate() {
            let ask = ["get f", "put f", "list active", "cwd a", "abort", "probe", "quit", "rename a b", "entries", "tls", "ccc"];
            if let Some(&n) = asks.get(i) {
                play.ask(ask[n]);
                asked += 1;
                aborted += usize::from(ask[n] == "abort");
            }
            play.session.handle_input(play.now, chunk);
            play.session.handle_outcome(play.now, OpId(0), Outcome::Connected(Ok(())));
            play.session.handle_outcome(play.now, OpId(1), Outcome::Secured(Ok(())));
            play.session.handle_data(play.now, OpId(0), DataState::Ended);
            play.happen("after 5");
            play.drain();
        }
        play.session.handle_eof(play.now);
        play.drain();
        prop_assert!(play.session.is_closed());
        prop_assert_eq!(play.log.matches("close\n").count(), 1);
        // ABOR takes the place of what it stops.
        let ends = play.log.lines().filter(|line| line.starts_with("done ") || line.starts_with("error ")).count();
        prop_assert!(ends <= asked && ends + aborted >= asked, "{} of {}:\n{}", ends, asked, play.log);
    }
}
