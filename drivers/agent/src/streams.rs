//! The agent's side of requests with several replies: reports on a broadcast, and deliveries to a listener.

use std::time::Duration;

use bruit_udp::core::{Broadcast, MessageId, Notice, broadcast::Reached};
use bruit_udp::{DriverNotice, Notices, RecvError};

use crate::answer::Answerer;
use crate::control::Caller;
use crate::label::node_label;
use crate::messages::{LostView, MessageView};
use crate::protocol::{Reply, Response};

/// The interval at which the agent checks that a listener without deliveries is still connected.
const LOOK_EVERY: Duration = Duration::from_secs(1);

const TOO_MANY: &str = "too many callers listen to this agent already";
const ENDED: &str = "the node has stopped";

impl Answerer {
    /// Sends a broadcast. With a report, sends its replies to the caller and returns the last one.
    pub(crate) fn broadcast(&self, message: Broadcast, caller: &Caller<'_>) -> Result<Reply, String> {
        let reported = message.report.is_some();
        let submit = || self.bruit.submit(message).map_err(|rejected| rejected.to_string());
        if !reported {
            return Ok(Reply::Sent { id: submit()?.to_string() });
        }
        // It reads the reports before it sends the broadcast, because the report may end at once.
        let is_report = |notice: &DriverNotice| matches!(notice, DriverNotice::Node(Notice::Report { .. }));
        let notices = self.hub.read(is_report).ok_or(TOO_MANY)?;
        let id = submit()?;
        self.send(caller, Reply::Sent { id: id.to_string() })?;
        self.report(id, notices, caller)
    }

    /// Sends the reports of a broadcast to the caller, and returns the last one.
    fn report(&self, id: MessageId, notices: Notices, caller: &Caller<'_>) -> Result<Reply, String> {
        for notice in notices {
            let reached = match notice {
                DriverNotice::Node(Notice::Report { id: of, reached }) if of == id => reached,
                DriverNotice::Lagged { .. } if self.bruit.read(|node| node.report(id).is_none()) => {
                    return Err("the report has ended, but its result was not read in time".to_owned());
                }
                DriverNotice::Node(_) | DriverNotice::Trouble(_) | DriverNotice::Lagged { .. } => continue,
            };
            let id = id.to_string();
            let labels =
                |ids: Vec<_>| self.bruit.read(|node| ids.iter().map(|id| node_label(node, *id)).collect());
            match reached {
                Reached::Majority => self.send(caller, Reply::Majority { id })?,
                Reached::All { without } => return Ok(Reply::All { id, without: labels(without) }),
                Reached::TimedOut { missing } => return Ok(Reply::TimedOut { id, missing: labels(missing) }),
                other => return Err(format!("this agent does not know the report {other:?}")),
            }
        }
        Err(ENDED.to_owned())
    }

    /// Sends deliveries to the caller until the caller goes or the node stops.
    pub(crate) fn listen(&self, topic: Option<String>, caller: &Caller<'_>) -> Result<Reply, String> {
        let wants = move |notice: &DriverNotice| match notice {
            DriverNotice::Node(Notice::Delivered { topic: of, .. }) => {
                topic.as_ref().is_none_or(|topic| topic == of)
            }
            DriverNotice::Node(Notice::Lost { .. }) => true,
            DriverNotice::Node(_) | DriverNotice::Trouble(_) | DriverNotice::Lagged { .. } => false,
        };
        let mut notices = self.hub.read(wants).ok_or(TOO_MANY)?;
        caller.wait_without_limit().map_err(|error| error.to_string())?;
        self.send(caller, Reply::Listening {})?;
        loop {
            match notices.recv_timeout(LOOK_EVERY) {
                Ok(notice) => {
                    if let Some(reply) = self.reply_to_listener(&notice) {
                        self.send(caller, reply)?;
                    }
                }
                Err(RecvError::Timeout) if caller.is_listening() => {}
                Err(RecvError::Timeout) => return Err("the caller has gone".to_owned()),
                Err(RecvError::Ended) => return Ok(Reply::Ended {}),
            }
        }
    }

    /// The reply to a listener for a notice, if there is one.
    fn reply_to_listener(&self, notice: &DriverNotice) -> Option<Reply> {
        let name = |id| self.name_of(id);
        match notice {
            DriverNotice::Node(Notice::Delivered { id, topic, payload, .. }) => {
                Some(Reply::Delivered(MessageView::of(*id, name(id.origin), topic, payload)))
            }
            DriverNotice::Node(Notice::Lost { origin, epoch, first, last }) => {
                Some(Reply::Lost(LostView::of(*origin, name(*origin), *epoch, *first, *last)))
            }
            DriverNotice::Lagged { missed } => Some(Reply::Missed { notices: *missed }),
            DriverNotice::Node(_) | DriverNotice::Trouble(_) => None,
        }
    }

    /// The broadcasts that are still kept, the newest first.
    pub(crate) fn messages(&self, topic: Option<&str>, max: usize) -> Vec<MessageView> {
        self.bruit.read(|node| {
            let name = |id| node.member(id).map(|member| member.name.into_owned()).unwrap_or_default();
            let all = node.recent_all().filter(|(_, of, _)| topic.is_none_or(|topic| topic == *of));
            all.take(max)
                .map(|(id, topic, payload)| MessageView::of(id, name(id.origin), topic, payload))
                .collect()
        })
    }

    fn send(&self, caller: &Caller<'_>, reply: Reply) -> Result<(), String> {
        caller.send(&Response::Ok(reply)).map_err(|error| error.to_string())
    }
}
