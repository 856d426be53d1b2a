//! A file from one server to another.

use std::net::Ipv4Addr;
use std::time::Duration;

use port21_client::{Client, Error, Phase};

use crate::memory::{Net, Peer};
use crate::quirks::tls::{self, House};

const LIMIT: Duration = Duration::from_secs(3600);

/// Sends `f` from the first server to the second as `g`.
async fn between<T>(scripts: impl AsyncFnOnce(Peer, Peer), play: impl AsyncFnOnce(&mut Client, &mut Client) -> T) -> T {
    let (mut first, mut second) = (Net::new(), Net::at(Ipv4Addr::new(192, 0, 2, 99)));
    let builders = (first.client(), second.client());
    let serve = async {
        let (source, target) = (first.login().await, second.login().await);
        scripts(source, target).await;
    };
    let play = async {
        let (mut source, mut target) = (builders.0.open().await.unwrap(), builders.1.open().await.unwrap());
        let result = play(&mut source, &mut target).await;
        source.quit().await.unwrap();
        target.quit().await.unwrap();
        result
    };
    tokio::join!(serve, play).1
}

async fn send(source: &mut Client, target: &mut Client) -> Result<Option<u64>, Error> {
    source.send_to("f", target, "g", LIMIT).await.map(|done| done.size)
}

async fn ready(source: &mut Peer, target: &mut Peer) {
    source.answer("TYPE I", "200 ok").await;
    source.answer("SIZE f", "213 5").await;
    target.answer("TYPE I", "200 ok").await;
}

#[tokio::test(start_paused = true)]
async fn the_target_listens() {
    let scripts = async |mut source: Peer, mut target: Peer| {
        ready(&mut source, &mut target).await;
        // Whatever address it names, it is its own.
        target.answer("PASV", "227 ok (10,0,0,7,19,137)").await;
        source.answer("PORT 192,0,2,99,19,137", "200 ok").await;
        source.answer("RETR f", "150 go").await;
        target.answer("STOR g", "150 go").await;
        tokio::time::sleep(Duration::from_secs(1800)).await;
        target.say("226 done").await;
        source.say("226 done").await;
        target.answer("SIZE g", "213 5").await;
        source.quit().await;
        target.quit().await;
    };
    assert_eq!(between(scripts, send).await.unwrap(), Some(5));
}

#[tokio::test(start_paused = true)]
async fn a_file_is_appended_to_another() {
    let scripts = async |mut source: Peer, mut target: Peer| {
        ready(&mut source, &mut target).await;
        target.answer("PASV", "227 ok (192,0,2,99,19,137)").await;
        source.answer("PORT 192,0,2,99,19,137", "200 ok").await;
        source.answer("RETR f", "150 go\r\n226 done").await;
        target.answer("APPE g", "150 go\r\n226 done").await;
        source.quit().await;
        target.quit().await;
    };
    let append = async |source: &mut Client, target: &mut Client| {
        source.append_to("f", target, "g", LIMIT).await.map(|done| done.size)
    };
    assert_eq!(between(scripts, append).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn the_source_listens_where_the_target_may_not() {
    for refused in ["PASV", "PORT"] {
        let scripts = async |mut source: Peer, mut target: Peer| {
            ready(&mut source, &mut target).await;
            if refused == "PASV" {
                target.answer("PASV", "502 no").await;
            } else {
                target.answer("PASV", "227 ok (192,0,2,99,19,137)").await;
                source.answer("PORT 192,0,2,99,19,137", "504 not to another host").await;
            }
            source.answer("PASV", "227 ok (192,0,2,1,19,138)").await;
            target.answer("PORT 192,0,2,1,19,138", "200 ok").await;
            source.answer("RETR f", "150 go\r\n226 done").await;
            target.answer("STOR g", "150 go\r\n226 done").await;
            target.answer("SIZE g", "500 what?").await;
            source.quit().await;
            target.quit().await;
        };
        assert_eq!(between(scripts, send).await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn one_fails_and_the_other_is_stopped() {
    let scripts = async |mut source: Peer, mut target: Peer| {
        ready(&mut source, &mut target).await;
        target.answer("PASV", "227 ok (192,0,2,99,19,137)").await;
        source.answer("PORT 192,0,2,99,19,137", "200 ok").await;
        target.answer("STOR g", "150 go").await;
        source.answer("RETR f", "150 go").await;
        target.say("452 full").await;
        source.answer("ABOR", "426 stopped\r\n226 ok").await;
        source.quit().await;
        target.quit().await;
    };
    let error = between(scripts, send).await.unwrap_err();
    assert_eq!(error.reply().unwrap().code(), 452, "{error}");
}

#[tokio::test(start_paused = true)]
async fn there_is_no_such_file() {
    let scripts = async |mut source: Peer, target: Peer| {
        source.answer("TYPE I", "200 ok").await;
        source.answer("SIZE f", "550 none").await;
        source.quit().await;
        target.quit().await;
    };
    let error = between(scripts, send).await.unwrap_err();
    assert_eq!(error.reply().unwrap().code(), 550, "{error}");
}

#[tokio::test(start_paused = true)]
async fn bytes_are_missing_though_both_are_content() {
    let scripts = async |mut source: Peer, mut target: Peer| {
        ready(&mut source, &mut target).await;
        target.answer("PASV", "227 ok (192,0,2,99,19,137)").await;
        source.answer("PORT 192,0,2,99,19,137", "200 ok").await;
        source.answer("RETR f", "150 go\r\n226 done").await;
        target.answer("STOR g", "150 go\r\n226 done").await;
        target.answer("SIZE g", "213 4").await;
        source.quit().await;
        target.quit().await;
    };
    let error = between(scripts, send).await.unwrap_err();
    assert!(matches!(error, Error::Protocol { phase: Phase::FinalReply, .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn it_does_not_take_for_ever_and_can_be_given_up() {
    let scripts = async |mut source: Peer, mut target: Peer| {
        for n in 0..2 {
            if n == 0 {
                ready(&mut source, &mut target).await;
            } else {
                source.answer("SIZE f", "213 5").await;
            }
            target.answer("PASV", "227 ok (192,0,2,99,19,137)").await;
            source.answer("PORT 192,0,2,99,19,137", "200 ok").await;
            source.answer("RETR f", "150 go").await;
            target.answer("STOR g", "150 go").await;
            source.answer("ABOR", "426 stopped\r\n226 ok").await;
            target.answer("ABOR", "426 stopped\r\n226 ok").await;
        }
        source.quit().await;
        target.quit().await;
    };
    let play = async |source: &mut Client, target: &mut Client| {
        let error = send(source, target).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { phase: Phase::Transfer, after: LIMIT, .. }), "{error}");
        // Dropped in the midst.
        assert!(tokio::time::timeout(Duration::from_secs(9), send(source, target)).await.is_err());
        source.ready().await.unwrap();
        target.ready().await.unwrap();
    };
    between(scripts, play).await;
}

/// Both are under TLS, and one of them has to be its client.
#[tokio::test(start_paused = true)]
async fn one_plays_the_client_s_part_in_tls() {
    for ability in ["CPSV", "SSCN"] {
        let (mut first, mut second) = (Net::new(), Net::at(Ipv4Addr::new(192, 0, 2, 99)));
        let builders = (tls::client(&first), tls::client(&second));
        let house = House::new(2, 2);
        let serve = async {
            let (mut source, mut target) = (house.login(&mut first).await, house.login(&mut second).await);
            target.answer("FEAT", &format!("211-x\r\n {ability}\r\n211 End")).await;
            source.answer("TYPE I", "200 ok").await;
            source.answer("SIZE f", "213 5").await;
            house.protect(&mut source).await;
            target.answer("TYPE I", "200 ok").await;
            house.protect(&mut target).await;
            if ability == "SSCN" {
                target.answer("SSCN ON", "200 client").await;
                target.answer("PASV", "227 ok (192,0,2,99,19,137)").await;
            } else {
                target.answer("CPSV", "227 ok (192,0,2,99,19,137)").await;
            }
            source.answer("PORT 192,0,2,99,19,137", "200 ok").await;
            source.answer("RETR f", "150 go\r\n226 done").await;
            target.answer("STOR g", "150 go\r\n226 done").await;
            if ability == "SSCN" {
                target.answer("SSCN OFF", "200 server").await;
            }
            target.answer("SIZE g", "213 5").await;
            source.quit().await;
            target.quit().await;
        };
        let play = async {
            let (mut source, mut target) = (builders.0.open().await.unwrap(), builders.1.open().await.unwrap());
            assert_eq!(send(&mut source, &mut target).await.unwrap(), Some(5));
            source.quit().await.unwrap();
            target.quit().await.unwrap();
        };
        tokio::join!(serve, play);
    }
}

/// What is protected in one session is not sent in clear text in the other, and not a byte is said.
#[tokio::test(start_paused = true)]
async fn protection_is_not_given_up_in_silence() {
    let (mut first, mut second) = (Net::new(), Net::at(Ipv4Addr::new(192, 0, 2, 99)));
    let builders = (tls::client(&first), second.client());
    let house = House::new(2, 2);
    let serve = async {
        let (source, target) = (house.login(&mut first).await, second.login().await);
        source.quit().await;
        target.quit().await;
    };
    let play = async {
        let (mut source, mut target) = (builders.0.open().await.unwrap(), builders.1.open().await.unwrap());
        for _ in 0..2 {
            let error = send(&mut source, &mut target).await.unwrap_err();
            assert!(matches!(error, Error::Usage(_)), "{error}");
            std::mem::swap(&mut source, &mut target);
        }
        source.quit().await.unwrap();
        target.quit().await.unwrap();
    };
    tokio::join!(serve, play);
}
