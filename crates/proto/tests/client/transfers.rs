//! Transfers: their beginning, their two ends, and what goes wrong.

use port21_proto::client::{Output, Phase, SessionError};

use crate::play::{PASSIVE, Play, settings, transcript};

#[test]
fn data_and_final_reply_come_in_either_order() {
    for end in ["> ended #0\n S: 226 ok", "S: 226 ok\n > ended #0", "S: 250 ok\n > ended #0"] {
        let last = if end.contains("250") { "250" } else { "226" };
        transcript(&format!(
            "? get f {PASSIVE}
            C: RETR f
            S: 150 Opening (5 bytes)
            started #0 RETR: 150 Opening (5 bytes)
            {end}
            release #0
            done transferred {last} ok"
        ));
    }
}

#[test]
fn a_missing_mark_is_made_up_for_by_the_data() {
    transcript(&format!(
        "? get f {PASSIVE}
        C: RETR f
        > begun #0
        started #0 RETR: nothing
        > ended #0
        S: 226 ok
        release #0
        done transferred 226 ok"
    ));
    transcript(&format!("? get f {PASSIVE}\n C: RETR f\n S: 226 ok\n started #0 RETR: nothing"));
    transcript(&format!("? put f {PASSIVE}\n C: STOR f\n > after 10\n started #0 STOR: nothing"));
}

#[test]
fn refusals_name_their_phase() {
    let refused =
        |after: &str| format!("? get f {PASSIVE}\n C: RETR f\n {after}\n release #0\n error RETR: the server answered");
    transcript(&format!("{} 550 none", refused("S: 550 none")));
    transcript(&format!("{} 425 cannot", refused("S: 425 cannot")));
    let mark = "S: 150 go\n started #0 RETR: 150 go";
    transcript(&format!("{} 426 broken", refused(&format!("{mark}\n S: 426 broken"))));
    transcript(&format!("{} 451 disk", refused(&format!("{mark}\n > ended #0\n S: 451 disk"))));
    for (script, phase) in [
        ("S: 550 none", Phase::Command),
        ("S: 425 cannot", Phase::DataOpen),
        ("S: 150 go\n S: 426 broken", Phase::Transfer),
        ("S: 150 go\n > ended #0\n S: 451 disk", Phase::FinalReply),
    ] {
        let mut play = Play::new(settings());
        play.run(&format!("S: 220 hi\n ? get f {PASSIVE}"));
        let (last, before) = script.rsplit_once('\n').map_or((script, ""), |(before, last)| (last.trim(), before));
        play.run(before);
        play.session.handle_input(play.now, format!("{}\r\n", &last[3..]).as_bytes());
        let error = std::iter::from_fn(|| Some(play.session.poll_output())).find_map(|out| match out {
            Output::Done(_, Err(SessionError::Refused { phase, .. })) => Some(phase),
            _ => None,
        });
        assert_eq!(error, Some(phase), "{script}");
    }
}

#[test]
fn offsets_are_sent_last_and_never_ignored() {
    transcript(&format!(
        "? get f @100 image
        C: TYPE I
        S: 200 ok
        {}
        C: REST 100
        S: 350 ok
        C: RETR f",
        PASSIVE.trim()
    ));
    transcript(&format!(
        "? get f @100 {PASSIVE}\n C: REST 100\n S: 502 no\n release #0\n error REST: the server answered 502 no"
    ));
}

#[test]
fn an_offset_that_was_not_used_is_taken_back() {
    transcript(&format!(
        "? get f @100 {PASSIVE}
        C: REST 100
        S: 350 ok
        C: RETR f
        S: 550 none
        release #0
        error RETR: the server answered 550 none
        ? get f
        C: EPSV
        S: 229 ok (|||5000|)
        do #1 connect 192.0.2.1:5000
        > connected #1
        C: REST 0
        S: 501 what?
        C: RETR f"
    ));
}

#[test]
fn uploads_end_before_they_are_done() {
    let started = format!("? put f {PASSIVE}\n C: STOR f\n S: 150 go\n started #0 STOR: 150 go");
    transcript(&format!("{started}\n > ended #0\n S: 226 ok\n release #0\n done transferred 226 ok"));
    transcript(&format!("{started}\n S: 452 full\n release #0\n error STOR: the server answered 452 full"));
    transcript(&format!(
        "{started}\n S: 226 ok\n release #0\n error transfer: the server answered 226 ok before the upload's end"
    ));
    transcript(&format!(
        "{started}\n > broken #0\n S: 552 quota\n release #0\n error STOR: the server answered 552 quota"
    ));
    transcript(&format!("{started}\n > broken #0\n S: 226 ok\n release #0\n error transfer: reset"));
    transcript(&format!("{started}\n > broken #0\n > after 10\n release #0\n error transfer: reset"));
    transcript(&format!(
        "{started}\n > ended #0\n > after 300\n release #0\n error final reply: no final reply to STOR within 300s"
    ));
}

#[test]
fn listings_fall_back_and_may_be_empty() {
    let probed = "? probe\n C: FEAT\n S: 211-x\n S:  EPSV\n S:  MLST type*;size*;modify*;\n S: 211 End\n done probed";
    transcript(&format!(
        "{probed}
        ? entries {PASSIVE}
        C: MLSD
        S: 500 what?
        release #0
        C: EPSV
        S: 229 ok (|||5000|)
        do #1 connect 192.0.2.1:5000
        > connected #1
        C: LIST
        S: 150 go
        started #1 LIST: 150 go"
    ));
    for reply in ["450 No files found", "550 No files found."] {
        transcript(&format!("? list {PASSIVE}\n C: LIST\n S: {reply}\n release #0\n done transferred {reply}"));
    }
}

#[test]
fn only_a_completion_is_the_end_of_a_transfer() {
    transcript(&format!(
        "? put f {PASSIVE}\n C: STOR f\n S: 332 account\n release #0\n error STOR: the server answered 332 account"
    ));
    let mark = "S: 150 go\n started #0 RETR: 150 go\n > ended #0";
    transcript(&format!(
        "? get f {PASSIVE}\n C: RETR f\n {mark}\n S: 350 what?\n release #0\n error RETR: the server answered 350 what?"
    ));
}

#[test]
fn the_final_reply_has_its_time_whatever_else_is_said() {
    let mut play = Play::new(settings());
    play.run(&format!("S: 220 hi\n ? get f {PASSIVE}\n S: 150 go\n > ended #0"));
    for _ in 0..10 {
        play.run("> after 30\n S: 150 still");
    }
    assert!(play.log.contains("error final reply: no final reply to RETR within 300s"), "{}", play.log);
}

#[test]
fn a_reply_that_comes_too_late_finds_its_own_command() {
    transcript(&format!(
        "? get f {PASSIVE}
        C: RETR f
        S: 150 go
        started #0 RETR: 150 go
        > ended #0
        > after 300
        release #0
        error final reply: no final reply to RETR within 300s
        ? cwd a
        C: CWD a
        S: 226 at last
        S: 250 ok
        done reply 250 ok"
    ));
}

#[test]
fn mlsd_of_a_file_is_no_proof_that_there_is_no_mlsd() {
    transcript(&format!(
        "? probe
        C: FEAT
        S: 211-x
        S:  EPSV
        S:  MLST type*;size*;modify*;
        S: 211 End
        done probed
        ? entries {PASSIVE}
        C: MLSD
        S: 501 not a directory
        release #0
        C: EPSV
        S: 229 ok (|||5000|)
        do #1 connect 192.0.2.1:5000
        > connected #1
        C: LIST
        S: 150 go
        started #1 LIST: 150 go
        > ended #1
        S: 226 ok
        release #1
        done transferred 226 ok
        ? entries
        C: EPSV
        S: 229 ok (|||5000|)
        do #2 connect 192.0.2.1:5000
        > connected #2
        C: MLSD"
    ));
}

#[test]
fn an_offset_that_somebody_else_has_set_is_taken_back() {
    let again = |op| {
        format!(
            "? get f
            C: EPSV
            S: 229 ok (|||5000|)
            do #{op} connect 192.0.2.1:5000
            > connected #{op}
            C: REST 0
            S: 350 ok
            C: RETR f"
        )
    };
    // By hand.
    transcript(&format!("? raw REST 100\n C: REST 100\n S: 350 ok\n done reply 350 ok\n {}", again(0)));
    // By a transfer that was stopped before it knew.
    transcript(&format!(
        "? get f @100 {PASSIVE}\n C: REST 100\n ? abort\n release #0\n S: 350 ok\n done aborted\n {}",
        again(1)
    ));
}

#[test]
fn an_offset_that_the_server_may_keep_is_taken_back() {
    transcript(&format!(
        "? get f @100 {PASSIVE}
        C: REST 100
        S: 350 ok
        C: RETR f
        S: 150 go
        started #0 RETR: 150 go
        > ended #0
        S: 226 done
        release #0
        done transferred 226 done
        ? get f
        C: EPSV
        S: 229 ok (|||5000|)
        do #1 connect 192.0.2.1:5000
        > connected #1
        C: REST 0
        S: 350 ok
        C: RETR f
        S: 550 none
        release #1
        error RETR: the server answered 550 none
        ? get f
        C: EPSV
        S: 229 ok (|||5000|)
        do #2 connect 192.0.2.1:5000
        > connected #2
        C: RETR f"
    ));
}

#[test]
fn an_offset_that_is_too_large_for_the_server_is_noticed() {
    for (from, heard) in [
        (4_294_967_301_u64, "Restarting at 5."),
        (4_294_967_301, "REST supported. Ready to resume at byte offset 5"),
        (2_147_483_653, "Restarting at -2147483643"),
        (4_294_967_301, "Restart position accepted (2147483647)."),
    ] {
        let made = heard.split([' ', '(', ')', '.']).rfind(|word| !word.is_empty()).unwrap();
        transcript(&format!(
            "? get f @{from} {PASSIVE}
            C: REST {from}
            S: 350 {heard}
            release #0
            error command: REST {from} was taken for {made}: the server counts no further than it can"
        ));
    }
    for (from, heard) in [(4_294_967_301_u64, "Restarting at 4294967301 of 5"), (5, "ok"), (4_294_967_301, "ok, 7")] {
        transcript(&format!("? get f @{from} {PASSIVE}\n C: REST {from}\n S: 350 {heard}\n C: RETR f"));
    }
}

#[test]
fn a_transfer_between_two_servers_has_its_data_elsewhere() {
    let begun = "? elsewhere f\n C: RETR f\n S: 150 go\n";
    transcript(&format!("{begun} > after 9999\n S: 226 done\n done transferred 226 done"));
    transcript(&format!("{begun} S: 426 broken\n error RETR: the server answered 426 broken"));
    transcript("? elsewhere f\n C: RETR f\n S: 550 none\n error RETR: the server answered 550 none");
    transcript("? elsewhere f\n C: RETR f\n > after 60\n error command: no reply to RETR within 60s\n close");
    transcript(&format!(
        "{begun} ? abort\n urgent [ff, f4, ff, f2]\n C: ABOR\n S: 426 stopped\n S: 226 ok\n done aborted"
    ));
}
