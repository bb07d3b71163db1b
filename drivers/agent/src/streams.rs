//! Requests that are answered bit by bit: how a broadcast spreads, and what is delivered from now on.

use std::time::Duration;

use bruit_udp::core::{Broadcast, MessageId, Notice, broadcast::Reached};
use bruit_udp::{DriverNotice, Notices, RecvError};

use crate::answer::Answerer;
use crate::control::Caller;
use crate::messages::{LostView, MessageView};
use crate::protocol::{Reply, Response, node_label};

/// How often a listener that is told nothing is looked after.
const LOOK_EVERY: Duration = Duration::from_secs(1);

const TOO_MANY: &str = "too many listen to this agent already";
const ENDED: &str = "the node has stopped";

impl Answerer {
    pub(crate) fn broadcast(&self, message: Broadcast, caller: &Caller<'_>) -> Result<Reply, String> {
        let reported = message.report.is_some();
        let submit = || self.bruit.submit(message).map_err(|rejected| rejected.to_string());
        if !reported {
            return Ok(Reply::Sent { id: submit()?.to_string() });
        }
        // First the ear, then the word: the report may be over at once.
        let is_report = |news: &DriverNotice| matches!(news, DriverNotice::Node(Notice::Report { .. }));
        let news = self.hub.read(is_report).ok_or(TOO_MANY)?;
        let id = submit()?;
        self.say(caller, Reply::Sent { id: id.to_string() })?;
        self.report(id, news, caller)
    }

    /// Says what the broadcast reaches; the last of it comes back.
    fn report(&self, id: MessageId, news: Notices, caller: &Caller<'_>) -> Result<Reply, String> {
        for news in news {
            let reached = match news {
                DriverNotice::Node(Notice::Report { id: of, reached }) if of == id => reached,
                DriverNotice::Lagged { .. } if self.bruit.read(|node| node.report(id).is_none()) => {
                    return Err("the report has ended, and how was missed".to_owned());
                }
                DriverNotice::Node(_) | DriverNotice::Trouble(_) | DriverNotice::Lagged { .. } => continue,
            };
            let id = id.to_string();
            let labels =
                |ids: Vec<_>| self.bruit.read(|node| ids.iter().map(|id| node_label(node, *id)).collect());
            match reached {
                Reached::Majority => self.say(caller, Reply::Majority { id })?,
                Reached::All { without } => return Ok(Reply::All { id, without: labels(without) }),
                Reached::TimedOut { missing } => return Ok(Reply::TimedOut { id, missing: labels(missing) }),
                other => return Err(format!("{other:?} is unknown here")),
            }
        }
        Err(ENDED.to_owned())
    }

    /// Says what is delivered, until the caller or the node ends.
    pub(crate) fn listen(&self, topic: Option<String>, caller: &Caller<'_>) -> Result<Reply, String> {
        let wants = move |news: &DriverNotice| match news {
            DriverNotice::Node(Notice::Delivered { topic: of, .. }) => {
                topic.as_ref().is_none_or(|topic| topic == of)
            }
            DriverNotice::Node(Notice::Lost { .. }) => true,
            DriverNotice::Node(_) | DriverNotice::Trouble(_) | DriverNotice::Lagged { .. } => false,
        };
        let mut news = self.hub.read(wants).ok_or(TOO_MANY)?;
        caller.wait_for_it().map_err(|error| error.to_string())?;
        self.say(caller, Reply::Listening {})?;
        loop {
            match news.recv_timeout(LOOK_EVERY) {
                Ok(news) => {
                    if let Some(reply) = self.heard(&news) {
                        self.say(caller, reply)?;
                    }
                }
                Err(RecvError::Timeout) if caller.listens() => {}
                Err(RecvError::Timeout) => return Err("the caller has gone".to_owned()),
                Err(RecvError::Ended) => return Ok(Reply::Ended {}),
            }
        }
    }

    fn heard(&self, news: &DriverNotice) -> Option<Reply> {
        let name = |id| self.name_of(id);
        match news {
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

    fn say(&self, caller: &Caller<'_>, reply: Reply) -> Result<(), String> {
        caller.say(&Response::Ok(reply)).map_err(|error| error.to_string())
    }
}
