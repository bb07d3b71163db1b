//! The table of message kinds, and all that follows from it: the enums, dispatch by tag, names, needed standing.
//!
//! To add a message:
//!
//! 1. write its struct and the struct's [`Body`] in the file of its machine, and a row of the table below;
//! 2. handle the new variant in the `on_message` of its machine, where the compiler now asks for it;
//! 3. write its row into `core/WIRE.md` and its golden bytes into `wire/tests.rs`: both are compared with the table.

use alloc::vec::Vec;
use core::fmt;

use super::codec::{Body, Put, Reader};
use super::digest::Digest;
use super::error::DecodeError;
use super::gossip::{
    Gone, IHave, Lack, Mark, Part, Prune, Publish, PushAck, Receipt, ReceiptRequest, Request, RequestParts,
};
use super::join::{Join, JoinAnswer, JoinEcho};
use super::member::{Accused, Alive, Verdict};
use super::name::{Ask, Claim};
use super::probe::{Ack, Nack, Ping, PingReq, RelayedAck};
use super::reconcile::{Compare, Delta, Items, Want};
use super::sizes::{MESSAGE_BYTES, TABLES};

/// How far the sender of a datagram is believed, from least to most (rules A4, B10, F6). Each kind of message names the
/// least standing that its sender needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// The datagram carries an earlier epoch of its sender than the receiver knows. Its pings are acked, and nothing else
    /// in it is used.
    Stale,
    /// The receiver does not hold the sender alive. The sender may ping, join, send its own record, and say how it holds the
    /// receiver; no answer to it is longer than its question.
    Unknown,
    /// The sender is a live member, at another address than its record says.
    Member,
    /// The sender is a live member at the address of its record. Needed where the answer is longer than the question, or
    /// goes elsewhere: a forged sender address could turn it on a victim.
    Validated,
}

macro_rules! kinds {
    ($(
        $(#[doc = $doc:literal])+
        $machine:ident { $($tag:literal $kind:ident$(<$life:lifetime>)? $name:literal $standing:ident;)+ }
    )+) => {
        /// The kind of a message, for counting and filtering.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Kind {
            $($(
                #[doc = concat!("See [`struct@", stringify!($kind), "`].")]
                $kind,
            )+)+
            /// A message whose tag this version does not know.
            Unknown,
        }

        impl Kind {
            /// Every kind, in the order of the tags.
            pub const ALL: [Self; [$($($tag,)+)+].len() + 1] = [$($(Self::$kind,)+)+ Self::Unknown];

            /// The tag that messages of this kind begin with.
            #[must_use]
            pub const fn tag(self) -> Option<u8> {
                match self {
                    $($(Self::$kind => Some($tag),)+)+
                    Self::Unknown => None,
                }
            }

            /// Whether a message of this kind is used only as the first one of its datagram, and nothing behind it: it is
            /// answered by a datagram of its own, so several of them would be answered by more than they are (rule F6).
            pub(crate) const fn stands_alone(self) -> bool {
                matches!(self, Self::Join | Self::JoinEcho | Self::Ask | Self::Claim)
            }

            /// The name in lower case, as commands and traces spell it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $($(Self::$kind => $name,)+)+
                    Self::Unknown => "unknown",
                }
            }

            /// The least standing that a sender needs for a message of this kind to be used.
            #[must_use]
            pub const fn standing(self) -> Standing {
                match self {
                    $($(Self::$kind => Standing::$standing,)+)+
                    Self::Unknown => Standing::Unknown,
                }
            }
        }

        /// One message, its variable parts borrowed from the datagram: a variant for each machine.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Message<'a> {
            $($(#[doc = $doc])+ $machine($machine<'a>),)+
            /// A kind that this version does not know. The receiver counts and skips it (rule G5).
            Unknown {
                /// The tag of the message.
                tag: u8,
            },
        }

        impl<'a> Message<'a> {
            /// The kind of the message.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self {
                    $(Self::$machine(message) => message.kind(),)+
                    Self::Unknown { .. } => Kind::Unknown,
                }
            }

            /// Reads the body of a message with this tag.
            pub(crate) fn decode(tag: u8, body: &'a [u8]) -> Result<Self, DecodeError> {
                let body = Reader::new(body);
                Ok(match tag {
                    $($($tag => Self::$machine($machine::$kind(Body::decode(body)?)),)+)+
                    tag => Self::Unknown { tag },
                })
            }

            /// Appends tag, length and body to `out`.
            ///
            /// # Panics
            /// On [`Message::Unknown`], whose bytes are not kept.
            pub fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$machine(message) => message.encode(out),)+
                    Self::Unknown { .. } => panic!("an unknown message has no bytes any more"),
                }
            }
        }

        impl fmt::Display for Message<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $($(Self::$machine($machine::$kind(message)) => message.print($name, f),)+)+
                    Self::Unknown { tag } => write!(f, "{} {tag}", self.kind().name()),
                }
            }
        }

        $(
            $(#[doc = $doc])+
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            #[non_exhaustive]
            pub enum $machine<'a> {
                $(
                    #[doc = concat!("See [`struct@", stringify!($kind), "`].")]
                    $kind($kind$(<$life>)?),
                )+
            }

            impl<'a> $machine<'a> {
                /// The kind of the message.
                #[must_use]
                pub const fn kind(&self) -> Kind {
                    match self {
                        $(Self::$kind(_) => Kind::$kind,)+
                    }
                }

                fn encode(&self, out: &mut Vec<u8>) {
                    match self {
                        $(Self::$kind(message) => encode_whole($tag, message, out),)+
                    }
                }
            }

            $(
                impl<'a> From<$kind$(<$life>)?> for Message<'a> {
                    fn from(message: $kind$(<$life>)?) -> Self {
                        Self::$machine($machine::$kind(message))
                    }
                }
            )+
        )+
    };
}

// A row: the tag, the message with the lifetime of what it borrows, its name, and the least standing of its sender.
// Tags 1–31 belong to membership, 32–47 to reconciliation, 64–79 to the broadcast; 80 and above are for the parts to come.
kinds! {
    /// A message of the membership protocol: probes, updates, and joining.
    Swim {
        1 Ping "ping" Stale;
        2 Ack "ack" Unknown;
        3 PingReq "ping-req" Validated;
        4 Nack "nack" Validated;
        5 RelayedAck "relayed-ack" Validated;
        6 Alive<'a> "alive" Unknown;
        7 Verdict "verdict" Unknown;
        8 Accused "accused" Unknown;
        9 Join<'a> "join" Stale;
        10 JoinEcho "join-echo" Stale;
        11 JoinAnswer "join-answer" Unknown;
        12 Ask "ask" Stale;
        13 Claim "claim" Stale;
    }
    /// A message of the reconciliation of one table.
    Reconcile {
        32 Compare<'a> "compare" Validated;
        33 Items<'a> "items" Validated;
        34 Want<'a> "want" Validated;
        35 Delta "delta" Validated;
    }
    /// A message of the broadcast.
    Gossip {
        64 Publish<'a> "publish" Member;
        65 Part<'a> "part" Member;
        66 IHave<'a> "i-have" Member;
        67 Request<'a> "request" Validated;
        68 RequestParts "request-parts" Validated;
        69 Digest<'a> "digest" Validated;
        70 Gone<'a> "gone" Member;
        71 PushAck<'a> "push-ack" Member;
        72 Prune "prune" Validated;
        73 Receipt<'a> "receipt" Member;
        74 ReceiptRequest<'a> "receipt-request" Validated;
        75 Mark "mark" Validated;
        76 Lack<'a> "lack" Member;
    }
}

/// Appends tag, length and body of a message.
fn encode_whole<'a>(tag: u8, message: &impl Body<'a>, out: &mut Vec<u8>) {
    let start = out.len();
    out.put(&[tag, 0, 0]);
    message.encode(out);
    let len = u16::try_from(out.len() - start - MESSAGE_BYTES).expect("a message fits a datagram");
    out[start + 1..start + MESSAGE_BYTES].copy_from_slice(&len.to_le_bytes());
}

impl Message<'_> {
    /// The roots that ride on a ping or an ack.
    pub(crate) const fn roots(&self) -> Option<[u64; TABLES]> {
        if let Self::Swim(Swim::Ping(Ping { roots, .. }) | Swim::Ack(Ack { roots: Some(roots), .. })) = self {
            Some(*roots)
        } else {
            None
        }
    }
}

impl Reconcile<'_> {
    /// The table that the message is about.
    pub(crate) const fn table(&self) -> u8 {
        match self {
            Self::Compare(Compare { table, .. })
            | Self::Items(Items { table, .. })
            | Self::Want(Want { table, .. })
            | Self::Delta(Delta { table }) => *table,
        }
    }
}
