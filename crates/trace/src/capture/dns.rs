//! DNS messages of a capture.

use std::net::SocketAddr;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::{RData, RecordType};
use port21_proto::Time;
use port21_proto::event::{ConnectionId, EventKind};

use crate::words::clip;

/// The port of name servers.
pub(super) const PORT: u16 = 53;

/// The most answers of a message that are told, and the most characters of each: a name has no more.
const MAX_ANSWERS: usize = 32;
const MAX_TEXT: usize = 255;

/// A query or an answer.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    pub(super) at: Time,
    /// Who asked.
    pub(super) client: SocketAddr,
    /// Who was asked.
    pub(super) server: SocketAddr,
    pub(super) id: u16,
    pub(super) name: String,
    record: String,
    said: Said,
}

#[derive(Clone, Debug)]
enum Said {
    Query { recursion_desired: bool },
    Answer { code: String, answers: Vec<String> },
}

impl Lookup {
    /// Reads a message; nothing where it is none, or asks nothing.
    pub(super) fn read(at: Time, from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> Option<Lookup> {
        let message = Message::from_vec(bytes).ok()?;
        let query = message.queries.first()?;
        let name = query.name.to_string().trim_end_matches('.').to_owned();
        let (client, server, said) = match message.metadata.message_type {
            MessageType::Query => {
                let recursion_desired = message.metadata.recursion_desired;
                (from, to, Said::Query { recursion_desired })
            }
            MessageType::Response => {
                let code = mnemonic(message.metadata.response_code);
                let answers =
                    message.answers.iter().take(MAX_ANSWERS).map(|a| clip(&told(&a.data), MAX_TEXT)).collect();
                (to, from, Said::Answer { code, answers })
            }
        };
        Some(Lookup { at, client, server, id: message.metadata.id, name, record: query.query_type.to_string(), said })
    }

    /// About as many bytes as it takes.
    pub(super) fn size(&self) -> usize {
        let answers = match &self.said {
            Said::Query { .. } => 0,
            Said::Answer { answers, .. } => answers.iter().map(|a| size_of_val(a) + a.len()).sum(),
        };
        size_of::<Lookup>() + self.name.len() + self.record.len() + answers
    }

    /// Whether the server of a session is what was looked for.
    pub(super) fn gives(&self, address: &str) -> bool {
        matches!(&self.said, Said::Answer { answers, .. } if answers.iter().any(|a| a == address))
    }

    /// Whether it asks for the name of an address.
    pub(super) fn is_reverse(&self) -> bool {
        self.record == RecordType::PTR.to_string()
    }

    /// The event of it.
    pub(super) fn event(self, connection: ConnectionId) -> EventKind {
        let Lookup { id, name, record, said, .. } = self;
        match said {
            Said::Query { recursion_desired } => {
                EventKind::DnsQuery { connection, id, name, record, recursion_desired }
            }
            Said::Answer { code, answers } => EventKind::DnsAnswer { connection, id, name, record, code, answers },
        }
    }
}

/// Messages over TCP: each behind its length (RFC 1035 section 4.2.2).
#[derive(Debug)]
pub(super) struct Frames {
    ends: [SocketAddr; 2],
    begun: [Vec<u8>; 2],
    /// Where messages begin is not known any more.
    lost: [bool; 2],
    pub(super) lookups: Vec<Lookup>,
    told: usize,
}

/// The most messages of one TCP connection that are told.
const MAX_LOOKUPS: usize = 1000;

impl Frames {
    pub(super) fn new(ends: [SocketAddr; 2]) -> Frames {
        Frames { ends, begun: Default::default(), lost: [false; 2], lookups: Vec::new(), told: 0 }
    }

    pub(super) fn bytes(&mut self, at: Time, side: usize, bytes: &[u8]) {
        let [a, b] = self.ends;
        let (from, to) = if side == 0 { (a, b) } else { (b, a) };
        let Some(begun) = self.begun.get_mut(side) else { return };
        if self.lost.get(side) != Some(&false) {
            return;
        }
        begun.extend_from_slice(bytes);
        let mut rest = begun.as_slice();
        while let Some((length, behind)) = rest.split_first_chunk::<2>()
            && let Some((message, next)) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        {
            if self.lookups.len() < MAX_LOOKUPS
                && let Some(lookup) = Lookup::read(at, from, to, message)
            {
                self.told += lookup.size();
                self.lookups.push(lookup);
            }
            rest = next;
        }
        let read = begun.len() - rest.len();
        begun.drain(..read);
    }

    /// About as many bytes as it takes.
    pub(super) fn size(&self) -> usize {
        self.told + self.begun.iter().map(Vec::len).sum::<usize>()
    }

    pub(super) fn missing(&mut self, side: usize) {
        self.lost.get_mut(side).into_iter().for_each(|lost| *lost = true);
        self.begun.get_mut(side).into_iter().for_each(|begun| *begun = Vec::new());
    }
}

/// The data of a record as text; a name without its last dot.
fn told(data: &RData) -> String {
    match data {
        RData::CNAME(name) => name.to_string().trim_end_matches('.').to_owned(),
        data => data.to_string(),
    }
}

/// The code as RFC 1035 section 4.1.1 and its successors abbreviate it.
fn mnemonic(code: ResponseCode) -> String {
    match code {
        ResponseCode::NoError => "NOERROR".to_owned(),
        ResponseCode::FormErr => "FORMERR".to_owned(),
        ResponseCode::ServFail => "SERVFAIL".to_owned(),
        ResponseCode::NXDomain => "NXDOMAIN".to_owned(),
        ResponseCode::NotImp => "NOTIMP".to_owned(),
        ResponseCode::Refused => "REFUSED".to_owned(),
        other => format!("RCODE{}", u16::from(other)),
    }
}
