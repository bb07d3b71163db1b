//! A counting allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

struct Counting;

static CALLS: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicU64 = AtomicU64::new(0);
static PAUSED: AtomicBool = AtomicBool::new(false);

// SAFETY: every call goes unchanged to the allocator of the system; counting uses atomics alone.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(u64::from(!PAUSED.load(Relaxed)), Relaxed);
        LIVE.fetch_add(layout.size() as u64, Relaxed);
        // SAFETY: the caller keeps the contract of the system allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as u64, Relaxed);
        // SAFETY: the caller keeps the contract of the system allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Does work whose allocations are not counted.
pub fn paused<R>(work: impl FnOnce() -> R) -> R {
    PAUSED.store(true, Relaxed);
    let result = work();
    PAUSED.store(false, Relaxed);
    result
}

/// The counters of the allocator.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    /// The number of allocations since the start.
    pub calls: u64,
    /// The bytes that are allocated now.
    pub live: u64,
}

/// Reads the counters.
pub fn read() -> Count {
    Count { calls: CALLS.load(Relaxed), live: LIVE.load(Relaxed) }
}
