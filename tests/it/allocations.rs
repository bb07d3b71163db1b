//! A settled node allocates nothing: a counting allocator observes the ticks and datagrams of a settled cluster.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;

use bruit_core::{Action, Event, Node, NodeId, Outbox, Time, virtual_addr};

use crate::support::lan;

/// The allocator of the system, which counts the allocations of the present thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    // A thread that is ending has no counter any more.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

#[expect(unsafe_code, reason = "an allocator is unsafe; this one only counts, and calls that of the system")]
// SAFETY: every call goes unchanged to the allocator of the system.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the pointer came from the system's allocator.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// The datagrams under way, in reused buffers.
struct Wire {
    free: Vec<Vec<u8>>,
    queue: std::collections::VecDeque<(usize, usize, Vec<u8>)>,
}

impl Wire {
    fn take(&mut self, from: usize, out: &Outbox) {
        for action in out.iter() {
            if let Action::Send { to, bytes } = action {
                let Some(to) = (0..).take(64).find(|i| virtual_addr(*i as u64 + 1) == to) else { continue };
                let mut buffer = self.free.pop().unwrap_or_default();
                buffer.clear();
                buffer.extend_from_slice(&bytes);
                self.queue.push_back((from, to, buffer));
            }
        }
    }
}

/// Lets eight nodes run until `end`; returns the allocations inside `handle_into`.
fn run(nodes: &mut [Node], wire: &mut Wire, out: &mut Outbox, end: Time) -> u64 {
    let mut allocations = 0;
    loop {
        let wakes = nodes.iter().enumerate().filter_map(|(i, node)| Some((node.next_wake()?, i)));
        let Some((now, at)) = wakes.min().filter(|(wake, _)| *wake <= end) else { return allocations };
        let mut handle = |node: &mut Node, event: Event<'_>, out: &mut Outbox| {
            out.clear();
            let before = ALLOCATIONS.get();
            node.handle_into(event, now, out);
            allocations += ALLOCATIONS.get() - before;
        };
        handle(&mut nodes[at], Event::Tick, out);
        wire.take(at, out);
        while let Some((from, to, bytes)) = wire.queue.pop_front() {
            handle(
                &mut nodes[to],
                Event::Datagram { from: virtual_addr(from as u64 + 1), bytes: &bytes },
                out,
            );
            wire.take(to, out);
            wire.free.push(bytes);
        }
    }
}

#[test]
fn a_settled_cluster_allocates_nothing() {
    let boot = |i: u64| {
        bruit_core::Boot::new(NodeId(i), format!("n{i}"), virtual_addr(i), 1, [i.to_le_bytes()[0]; 32])
    };
    let mut nodes: Vec<Node> =
        (1..=8).map(|i| Node::new(boot(i), lan(), Time::ZERO).expect("valid")).collect();
    let mut wire = Wire { free: Vec::new(), queue: std::collections::VecDeque::new() };
    let mut out = Outbox::new();
    for (i, node) in nodes.iter_mut().enumerate() {
        node.handle_into(
            Event::Command(bruit_core::Command::Join { seeds: vec![virtual_addr(1)] }),
            Time::ZERO,
            &mut out,
        );
        wire.take(i, &out);
        out.clear();
    }
    assert!(run(&mut nodes, &mut wire, &mut out, Time::from_secs(120)) > 0, "joining does allocate");
    assert!(nodes.iter().all(|node| node.member_count() == 8));
    let allocations = run(&mut nodes, &mut wire, &mut out, Time::from_secs(1_120));
    assert_eq!(allocations, 0, "a thousand settled seconds");
}
