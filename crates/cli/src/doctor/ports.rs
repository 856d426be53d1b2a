//! Who can connect to whom for data: EPSV, PASV, and PORT or EPRT.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use port21_client::{Client, DataMode, Error};
use port21_proto::addr;

use super::cause::{self, Scene};
use super::report::{Cause, Check, Outcome, Side};
use super::steps::{Tell, Walk, said};
use super::transfers::listed;
use crate::exit::{Exit, client_sentence};

impl Walk<'_> {
    /// Who can connect to whom for data. Whether the mode that transfers will use works.
    pub(super) async fn data_ports(
        &mut self,
        client: &mut Client,
        scene: &Scene,
        tell: &mut Tell<'_>,
    ) -> anyhow::Result<bool> {
        let is_active = self.args.connect.active;
        if scene.secure {
            // Some servers give out no port before they know whether it is to be under TLS.
            for command in ["PBSZ 0", "PROT P"] {
                let _ = self.timed(client.quote(command)).await;
            }
        }
        let epsv = self.passive_port("EPSV", client, scene, tell).await?;
        let pasv = match scene.peer.ip().to_canonical() {
            IpAddr::V4(_) => self.passive_port("PASV", client, scene, tell).await?,
            IpAddr::V6(_) => {
                self.add(Check::new("PASV", Outcome::NotTried, None, "it names addresses of IPv4 alone"), tell)?;
                None
            }
        };
        // EPSV is what is used, and PASV where the server has no EPSV.
        let passive = epsv.or(pasv).unwrap_or(false);
        if self.settings.is_indirect() {
            self.add(Check::new("PORT", Outcome::NotTried, None, "nobody can connect back through a proxy"), tell)?;
            return Ok(passive);
        }
        client.set_mode(DataMode::Active);
        let step = if scene.peer.ip().to_canonical().is_ipv4() { "PORT" } else { "EPRT" };
        let directory = self.place.path().to_vec();
        let (took, listed) = self.timed(listed(client, &directory)).await;
        client.set_mode(if is_active { DataMode::Active } else { DataMode::Passive });
        let works = match listed {
            Ok(_) => Ok(()),
            // The way stood: what the listing led to is another step's.
            Err(error) if !is_of_the_way(&error) => Ok(()),
            Err(error) => Err(error),
        };
        let told = self.log.last_port().and_then(|argument| {
            addr::parse_port(&argument).map(SocketAddr::from).or_else(|_| addr::parse_eprt(&argument)).ok()
        });
        match &works {
            Ok(()) => {
                let found = told.map_or_else(String::new, |told| format!("the server connects to {told}"));
                self.add(Check::new(step, Outcome::Passed, Some(took), found), tell)?;
            }
            Err(error) => {
                let outcome = if is_active { Outcome::Failed(Exit::of_client(error)) } else { Outcome::Noticed };
                let cause = cause::active(error, scene, told);
                self.add(Check::new(step, outcome, Some(took), client_sentence(error)).because(cause), tell)?;
            }
        }
        Ok(if is_active { works.is_ok() } else { passive })
    }

    /// Asks for a passive port, and connects to it. Whether that works; nothing where the server has no such command.
    async fn passive_port(
        &mut self,
        verb: &'static str,
        client: &mut Client,
        scene: &Scene,
        tell: &mut Tell<'_>,
    ) -> anyhow::Result<Option<bool>> {
        let needed = !self.args.connect.active;
        let bad = |exit: Exit| if needed { Outcome::Failed(exit) } else { Outcome::Noticed };
        let began = Instant::now();
        let (took, reply) = self.timed(client.quote(verb)).await;
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                let cause = cause::transfer(&error, scene, None);
                let check = Check::new(verb, bad(Exit::of_client(&error)), Some(took), client_sentence(&error));
                self.add(check.because(cause), tell)?;
                return Ok(Some(false));
            }
        };
        let code = reply.code().number();
        let named = match (verb, code) {
            ("EPSV", 229) => addr::parse_epsv(reply.text()).map(|port| SocketAddr::new(scene.peer.ip(), port)),
            ("PASV", 227) => addr::parse_pasv(reply.text()).map(SocketAddr::from),
            (_, 500..=504) => {
                let check =
                    Check::new(verb, Outcome::Passed, Some(took), format!("the server has none: {}", said(&reply)));
                self.add(check, tell)?;
                return Ok(None);
            }
            _ => {
                let check = Check::new(verb, bad(Exit::Refused), Some(took), said(&reply));
                self.add(check.because(cause::no_passive_port(code)), tell)?;
                return Ok(Some(false));
            }
        };
        let Ok(named) = named else {
            let cause = Cause {
                side: Side::Server,
                text: "no port can be read in its reply".to_owned(),
                advice: "look for something between that changes replies".to_owned(),
            };
            let check = Check::new(verb, bad(Exit::Refused), Some(took), said(&reply));
            self.add(check.because(cause), tell)?;
            return Ok(Some(false));
        };
        // As transfers do: the server's own address, whatever it says.
        let to = SocketAddr::new(scene.peer.ip(), named.port());
        let foreign = named.ip() != to.ip().to_canonical() && verb == "PASV";
        let (_, reached) = self.timed(client.reach(to)).await;
        let found = match foreign {
            true => format!("port {} at {}, which is not where the server is ({})", named.port(), named.ip(), to.ip()),
            false => format!("port {}", named.port()),
        };
        let works = reached.is_ok();
        let check = match reached {
            Ok(_) if foreign => Check::new(verb, Outcome::Noticed, Some(began.elapsed()), found)
                .because(cause::foreign_address(named.ip(), scene)),
            Ok(_) => Check::new(verb, Outcome::Passed, Some(began.elapsed()), found),
            Err(error) => {
                let mut cause = cause::passive(&error, scene, to);
                if foreign {
                    let address = cause::foreign_address(named.ip(), scene);
                    cause = Cause {
                        side: address.side,
                        text: format!("{}. Nor is the port answered there: {}", address.text, cause.text),
                        advice: format!("{}. {}", address.advice, cause.advice),
                    };
                }
                let found = format!("{found}: {}", client_sentence(&error));
                Check::new(verb, bad(Exit::Connect), Some(began.elapsed()), found).because(cause)
            }
        };
        self.add(check, tell)?;
        Ok(Some(works))
    }
}

/// Whether a transfer failed because no data connection came to stand.
fn is_of_the_way(error: &Error) -> bool {
    match error {
        Error::Refused { verb: "PORT" | "EPRT", .. } => true,
        Error::Refused { reply, .. } => matches!(reply.code().number(), 425 | 426),
        Error::Timeout { .. } | Error::Transport { .. } | Error::Closed { .. } | Error::ServiceClosing { .. } => true,
        _ => false,
    }
}
