//! Links `bruit-core` into a static library that has a panic handler and an allocator of its own. If anything
//! below `bruit-core` asked for std, this would have two panic handlers and not build. The only crate of the
//! repository beside the counting allocators of the benches and tests that writes `unsafe`.
#![no_std]

extern crate alloc;

use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering};

use bruit_core::{Boot, Command, Config, Event, Node, NodeId, Time};

const ARENA_BYTES: usize = 1 << 20;

/// Hands out one arena from the front, and takes nothing back.
struct Bump {
    arena: UnsafeCell<[u8; ARENA_BYTES]>,
    used: AtomicUsize,
}

// SAFETY: the arena is only ever handed out in disjoint pieces, which `used` accounts for atomically.
unsafe impl Sync for Bump {}

// SAFETY: pieces are disjoint, aligned to what was asked for, and within the arena.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.arena.get().cast::<u8>();
        let take = |used: usize| {
            let start = (base as usize + used).next_multiple_of(layout.align()) - base as usize;
            Some(start + layout.size()).filter(|end| *end <= ARENA_BYTES)
        };
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            // SAFETY: `end - size` lies within the arena, and is the aligned start.
            Ok(used) => unsafe { base.add(take(used).unwrap_or(0) - layout.size()) },
            Err(_) => null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Bump = Bump { arena: UnsafeCell::new([0; ARENA_BYTES]), used: AtomicUsize::new(0) };

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Starts a node and hears a datagram: how many actions came out.
#[unsafe(no_mangle)]
pub extern "C" fn bruit_no_std() -> usize {
    let Ok(addr) = "10.0.0.1:7".parse() else { return 0 };
    let boot = Boot::new(NodeId(1), "one", addr, 1, [7; 32]);
    let Ok(mut node) = Node::new(boot, Config::lan("no-std"), Time::ZERO) else { return 0 };
    let mut actions = Vec::new();
    actions.extend(node.handle(Event::Command(Command::Join { seeds: Vec::new() }), Time::ZERO));
    actions.extend(node.handle(Event::Datagram { from: addr, bytes: &[1, 2, 3] }, Time::from_secs(1)));
    actions.extend(node.handle(Event::Tick, Time::from_secs(2)));
    actions.len()
}
