//! Values of rows under the names that display filters know them by.

use std::net::SocketAddr;

use port21_proto::{Code, Verb, addr};

use super::Field;
use crate::session::{Exchange, Transfer};

pub(super) fn dns_query(id: u16, name: &str, record: &str, recursion_desired: bool) -> Vec<Field> {
    vec![
        field("dns.id", format!("0x{id:04x}")),
        field("dns.qry.name", name),
        field("dns.qry.type", record),
        field("dns.qry.class", "IN"),
        field("dns.flags.recdesired", if recursion_desired { "1" } else { "0" }),
        field("dns.count.queries", "1"),
    ]
}

pub(super) fn dns_answer(id: u16, code: &str, answers: &[String], recursion_desired: Option<bool>) -> Vec<Field> {
    let mut fields = vec![field("dns.id", format!("0x{id:04x}")), field("dns.flags.rcode", code)];
    if let Some(desired) = recursion_desired {
        fields.push(field("dns.flags.recdesired", if desired { "1" } else { "0" }));
    }
    fields.push(field("dns.count.answers", answers.len().to_string()));
    for answer in answers {
        let name = match answer.parse() {
            Ok(std::net::IpAddr::V4(_)) => "dns.a",
            Ok(std::net::IpAddr::V6(_)) => "dns.aaaa",
            Err(_) => "dns.cname",
        };
        fields.push(field(name, answer));
    }
    fields
}

pub(super) fn command(verb: &str, argument: &str, announced: Option<SocketAddr>) -> Vec<Field> {
    let mut fields = vec![field("ftp.request.command", verb)];
    if !argument.is_empty() {
        fields.push(field("ftp.request.arg", argument));
    }
    if let Some(address) = announced {
        fields.push(field("ftp.active.ip", address.ip().to_string()));
        fields.push(field("ftp.active.port", address.port().to_string()));
    }
    fields
}

pub(super) fn reply(exchange: Option<&Exchange>, code: Code, text: &str) -> Vec<Field> {
    let mut fields = vec![field("ftp.response.code", code.to_string())];
    if !text.is_empty() {
        fields.push(field("ftp.response.arg", text));
    }
    match exchange.and_then(|x| x.verb) {
        Some(Verb::Pasv) if code == 227 => {
            if let Ok(address) = addr::parse_pasv(text.as_bytes()) {
                fields.push(field("ftp.passive.ip", address.ip().to_string()));
                fields.push(field("ftp.passive.port", address.port().to_string()));
            }
        }
        Some(Verb::Epsv) if code == 229 => {
            if let Ok(port) = addr::parse_epsv(text.as_bytes()) {
                fields.push(field("ftp.epsv.port", port.to_string()));
            }
        }
        _ => {}
    }
    fields
}

pub(super) fn data(transfer: Option<&Transfer>) -> Vec<Field> {
    let Some(transfer) = transfer else { return Vec::new() };
    let command = format!("{} {}", transfer.verb, transfer.name);
    let setup = transfer.setup.map(|setup| field("ftp-data.setup-method", setup.name()));
    setup.into_iter().chain([field("ftp-data.command", command.trim_end())]).collect()
}

fn field(name: &'static str, value: impl Into<String>) -> Field {
    Field { name, value: value.into() }
}
