//! Maelstrom's protocol as a pure state machine: each call takes a line and a time, and returns lines. It has no clock,
//! no thread and no I/O, so that the program and the bench run identical nodes.
//!
//! It serves the workloads `echo`, `unique-ids` and `broadcast`, and tells them apart by the type of each message. A
//! request is answered in the call that takes it. Any other message is not answered.

use bruit_core::{ConfigError, Node, Time};

use crate::member::Member;
use crate::message::{self, Code, DATAGRAM, Message, Refusal};
use crate::output::Output;
use crate::settings::Settings;

/// A Maelstrom node as a state machine.
///
/// ```
/// use bruit_core::Time;
/// use bruit_maelstrom::{Host, Output, Preset, Settings};
///
/// let mut host = Host::new(Settings { config: Preset::Latency.config(), epoch: 1, seed: [7; 32] })?;
/// let mut out = Output::default();
/// let init = br#"{"src":"c0","dest":"n0","body":{"type":"init","msg_id":1,"node_id":"n0","node_ids":["n0"]}}"#;
/// host.on_line(init, Time::ZERO, &mut out);
/// assert_eq!(out.lines, [r#"{"src":"n0","dest":"c0","body":{"type":"init_ok","in_reply_to":1}}"#]);
/// # Ok::<(), bruit_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Host {
    settings: Settings,
    /// `None` until `init` has come.
    member: Option<Box<Member>>,
}

/// The type of an answer and its further field, with the value as JSON text.
type Answer = (&'static str, Option<(&'static str, String)>);

impl Host {
    /// Creates a node that waits for `init`.
    ///
    /// # Errors
    /// A setting is out of its range or contradicts another one.
    pub fn new(settings: Settings) -> Result<Self, ConfigError> {
        settings.config.validate()?;
        Ok(Self { settings, member: None })
    }

    /// Takes a line, with or without its end. It accepts any bytes: a line that is not a message is logged, and a
    /// request that this node does not know is answered with an error.
    pub fn on_line(&mut self, line: &[u8], now: Time, out: &mut Output) {
        if line.trim_ascii().is_empty() {
            return;
        }
        match Message::parse(line) {
            Ok(message) => self.on_message(&message, now, out),
            Err(reason) => out.log.push(format!("a line is not a message: {reason}")),
        }
        if let Some(member) = &mut self.member {
            member.submit_waiting(now, out);
        }
    }

    /// Lets the node do what is due by now. Call it at [`next_wake`](Self::next_wake); late and extra calls are harmless.
    pub fn on_tick(&mut self, now: Time, out: &mut Output) {
        if let Some(member) = &mut self.member {
            member.on_tick(now, out);
            member.submit_waiting(now, out);
        }
    }

    /// The time at which a tick is due; `None` while nothing is due.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        self.member.as_ref().and_then(|member| member.next_wake())
    }

    /// The core, for reading; `None` before `init`.
    #[must_use]
    pub fn node(&self) -> Option<&Node> {
        self.member.as_ref().map(|member| member.node())
    }

    fn on_message(&mut self, message: &Message<'_>, now: Time, out: &mut Output) {
        let kind: Option<String> = message.field("type");
        if message.is_reply(kind.as_deref()) {
            return out.log.push(format!("{} sent a reply, but nothing was asked", message.src));
        }
        let answer = match (kind.as_deref(), &mut self.member) {
            (Some("init"), _) => self.on_init(message, now),
            (Some(kind), Some(member)) => {
                member.start(now, out);
                if member.is_node(&message.src) {
                    return Self::on_peer(member, kind, message, now, out);
                }
                Self::on_request(member, kind, message, now, out)
            }
            (None, _) => Err(Refusal::malformed("the body has no type")),
            (Some(_), None) => Err(Refusal::new(Code::TemporarilyUnavailable, "init must come first")),
        };
        self.reply(message, answer, out);
    }

    fn on_init(&mut self, message: &Message<'_>, now: Time) -> Result<Answer, Refusal> {
        let name: Option<String> = message.field("node_id");
        let name = name.ok_or_else(|| Refusal::malformed("init needs node_id, a string"))?;
        let nodes: Option<Vec<String>> = message.field("node_ids");
        let nodes = nodes.ok_or_else(|| Refusal::malformed("init needs node_ids, a list of strings"))?;
        match &self.member {
            None => {
                let member = Member::new(&self.settings, name, &nodes, now);
                let member = member.map_err(|error| Refusal::malformed(error.to_string()))?;
                self.member = Some(Box::new(member));
                Ok(("init_ok", None))
            }
            Some(member) if member.name() == name => Ok(("init_ok", None)),
            Some(member) => Err(Refusal::malformed(format!("this node is already {}", member.name()))),
        }
    }

    /// Takes a message of another node: a datagram, or a message that nodes do not send, which is logged. Neither is
    /// answered.
    fn on_peer(member: &mut Member, kind: &str, message: &Message<'_>, now: Time, out: &mut Output) {
        let data: Option<String> = message.field("data");
        match data {
            Some(data) if kind == DATAGRAM => member.on_datagram(&message.src, &data, now, out),
            _ => out.log.push(format!("{} sent {kind:?}, which nodes do not send", message.src)),
        }
    }

    fn on_request(
        member: &mut Member,
        kind: &str,
        message: &Message<'_>,
        now: Time,
        out: &mut Output,
    ) -> Result<Answer, Refusal> {
        let needed = |key| message.raw(key).ok_or_else(|| Refusal::malformed(format!("{kind} has no {key}")));
        match kind {
            "echo" => Ok(("echo_ok", Some(("echo", needed("echo")?.to_owned())))),
            "generate" => Ok(("generate_ok", Some(("id", message::quote(&member.unique_id()))))),
            // The core chooses its own neighbours, so the topology is not needed.
            "topology" => Ok(("topology_ok", None)),
            "broadcast" => {
                member.broadcast(needed("message")?, now, out)?;
                Ok(("broadcast_ok", None))
            }
            "read" => Ok(("read_ok", Some(("messages", member.values())))),
            other => Err(Refusal::new(
                Code::NotSupported,
                format!("this node does not know {}", message::quote(other)),
            )),
        }
    }

    fn reply(&self, message: &Message<'_>, answer: Result<Answer, Refusal>, out: &mut Output) {
        let own = self.member.as_ref().map(|member| member.name()).or(message.dest.as_deref());
        let Some(own) = own else {
            return out.log.push(format!(
                "{} sent a request without dest before init; it cannot be answered",
                message.src
            ));
        };
        let mut fields = Vec::with_capacity(3);
        fields.extend(message.msg_id().map(|id| ("in_reply_to", id)));
        match &answer {
            Ok((kind, field)) => {
                fields.extend(field.iter().map(|(key, value)| (*key, value.as_str())));
                out.lines.push(message::line(own, &message.src, kind, &fields));
            }
            Err(Refusal { code, text }) => {
                let (code, text) = ((*code as u8).to_string(), message::quote(text));
                fields.extend([("code", code.as_str()), ("text", text.as_str())]);
                out.lines.push(message::line(own, &message.src, "error", &fields));
            }
        }
    }
}

#[cfg(test)]
mod tests;
