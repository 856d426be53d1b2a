//! EPSV and PASV that do not lead where they should.

use std::time::Duration;

use port21_client::{Client, Error, Phase};

use crate::memory::{Net, Peer, give};

/// Takes one listing from a server that has heard EPSV; what it says from then on is the script's.
async fn listing(script: impl AsyncFnOnce(&mut Peer)) -> (Result<(), Error>, Net) {
    let mut net = Net::new();
    let builder = net.client();
    let serve = async {
        let mut peer = net.login().await;
        script(&mut peer).await;
        peer.quit().await;
    };
    let play = async {
        let mut client = builder.open().await.unwrap();
        let result = names(&mut client).await;
        client.quit().await.unwrap();
        result
    };
    let (_, result) = tokio::join!(serve, play);
    (result, net)
}

async fn names(client: &mut Client) -> Result<(), Error> {
    let mut lines = client.nlst("").await?;
    assert_eq!(lines.next().await.unwrap()?, b"name");
    assert!(lines.next().await.is_none());
    Ok(())
}

/// Sends the listing by way of a reply to `command`, in which `@` stands for the port of EPSV, `#` for that of PASV.
async fn by(peer: &mut Peer, command: &str, reply: &str) {
    let mut port = peer.port();
    peer.answer(command, &reply.replace('@', &port.number.to_string()).replace('#', &port.tuple())).await;
    let data = port.accept().await;
    peer.answer("NLST", "150 go").await;
    give(data, b"name\r\n").await;
    peer.say("226 done").await;
}

#[tokio::test(start_paused = true)]
async fn epsv_in_other_words() {
    for reply in [
        "229 (|||@|)",
        "229 Entering Extended Passive Mode (|||@|).",
        "229 ok (!!!@!)",
        "229 ok (%%%@%)",
        "229 ok (|1|192.0.2.1|@|)",
        "229 ok (|2|2001:db8::9|@|)",
        "200 ok (|||@|)",
    ] {
        let (result, _net) = listing(async |peer| by(peer, "EPSV", reply).await).await;
        result.unwrap_or_else(|error| panic!("{reply}: {error}"));
    }
}

#[tokio::test(start_paused = true)]
async fn epsv_is_answered_as_if_it_were_pasv() {
    let (result, _net) = listing(async |peer| by(peer, "EPSV", "227 ok (192,0,2,1,#)").await).await;
    result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn pasv_in_other_words() {
    for reply in [
        "227 Entering Passive Mode (192,0,2,1,#).",
        "227 Entering Passive Mode 192,0,2,1,#",
        "227 =192,0,2,1,#",
        "227 ok [192,0,2,1,#]",
        "200 ok (192,0,2,1,#)",
    ] {
        let script = async |peer: &mut Peer| {
            peer.answer("EPSV", "500 what?").await;
            by(peer, "PASV", reply).await;
        };
        let (result, _net) = listing(script).await;
        result.unwrap_or_else(|error| panic!("{reply}: {error}"));
    }
}

/// The address is not used: the network panics where anyone else is connected to.
#[tokio::test(start_paused = true)]
async fn the_address_is_private_zero_or_somebody_s() {
    for address in ["10,0,0,1", "127,0,0,1", "192,168,1,2", "0,0,0,0", "169,254,1,1", "203,0,113,5", "255,255,255,255"]
    {
        let script = async |peer: &mut Peer| {
            peer.answer("EPSV", "500 what?").await;
            by(peer, "PASV", &format!("227 ok ({address},#)")).await;
        };
        let (result, net) = listing(script).await;
        result.unwrap();
        let told = format!("note the server names {}, its own address 192.0.2.1 is used", address.replace(',', "."));
        assert!(net.log.has(&told), "{:?}", net.log.story());
    }
    let (result, _net) = listing(async |peer| by(peer, "EPSV", "229 ok (|1|203.0.113.5|@|)").await).await;
    result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_address_at_all() {
    for reply in
        ["227 ok", "227 ok (1,2,3)", "227 ok (300,1,1,1,1,1)", "229 ok (|||0|)", "229 ok (|||99999|)", "229 (||||)"]
    {
        let script = async |peer: &mut Peer| {
            peer.answer("EPSV", reply).await;
            peer.answer("PASV", reply).await;
        };
        let (result, _net) = listing(script).await;
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Protocol { phase: Phase::DataOpen, .. }), "{reply}: {error}");
    }
}

/// FEAT has EPSV, and it leads nowhere: it is refused, its port is, or nothing becomes of it. That is found out once.
#[tokio::test(start_paused = true)]
async fn epsv_is_broken_though_advertised() {
    for way in ["refused", "closed", "filtered"] {
        let mut net = Net::new();
        let builder = net.client().probe(true);
        let serve = async {
            let mut peer = net.login().await;
            peer.answer("FEAT", "211-x\r\n EPSV\r\n PASV\r\n211 End").await;
            let reply = match way {
                "refused" => "522 no".to_owned(),
                "closed" => "229 ok (|||9|)".to_owned(),
                _ => format!("229 ok (|||{}|)", peer.filtered_port()),
            };
            peer.answer("EPSV", &reply).await;
            by(&mut peer, "PASV", "227 ok (192,0,2,1,#)").await;
            by(&mut peer, "PASV", "227 ok (192,0,2,1,#)").await;
            peer.say("421 bye").await;
            let mut peer = net.login().await;
            by(&mut peer, "PASV", "227 ok (192,0,2,1,#)").await;
            peer.quit().await;
        };
        let play = async {
            let mut client = builder.open().await.unwrap();
            client.features().await.unwrap();
            names(&mut client).await.unwrap();
            names(&mut client).await.unwrap();
            client.idle(Duration::from_secs(60)).await;
            // In the next session too.
            client.reconnect().await.unwrap();
            names(&mut client).await.unwrap();
            client.quit().await.unwrap();
        };
        tokio::join!(serve, play);
    }
}

#[tokio::test(start_paused = true)]
async fn neither_leads_anywhere() {
    let (result, net) = listing(async |peer| {
        let port = peer.filtered_port();
        peer.answer("EPSV", &format!("229 ok (|||{port}|)")).await;
        peer.answer("PASV", "425 no ports left").await;
    })
    .await;
    let error = result.unwrap_err();
    assert!(matches!(&error, Error::Refused { phase: Phase::DataOpen, verb: "PASV", .. }), "{error}");
    assert!(net.log.has("open failed"));
}

#[tokio::test(start_paused = true)]
async fn pret_comes_before_pasv() {
    let (result, _net) = listing(async |peer| {
        peer.answer("EPSV", "500 what?").await;
        peer.answer("PASV", "530 You need to use a client supporting PRET (PRE Transfer) to use PASV").await;
        peer.answer("PRET NLST", "200 OK, will use master for upcoming transfer").await;
        by(peer, "PASV", "227 ok (192,0,2,1,#)").await;
    })
    .await;
    result.unwrap();
}
