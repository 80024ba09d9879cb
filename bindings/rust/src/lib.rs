// SPDX-License-Identifier: MIT

//! The hakmem memory allocator: [`Hakmem`] as the allocator of a program, its [`stats`] and [`trim`], and [`Heap`], a heap
//! of one's own. Sizes are bytes. What each C function does is said in `hakmem.h`.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;
use std::io;
use std::os::raw::c_int;
use std::ptr::{self, NonNull};

/// Where the C library aligns every block to.
const ALIGNED: usize = 16;

#[repr(C)]
struct RawHeap {
    _opaque: [u8; 0],
}

extern "C" {
    fn hak_malloc(size: usize) -> *mut c_void;
    fn hak_calloc(count: usize, size: usize) -> *mut c_void;
    fn hak_realloc(ptr: *mut c_void, size: usize) -> *mut c_void;
    fn hak_aligned_alloc(alignment: usize, size: usize) -> *mut c_void;
    fn hak_free(ptr: *mut c_void);
    fn hak_trim(pad: usize) -> c_int;
    fn hak_stats(stats: *mut Stats) -> c_int;
    fn hak_heap_new(limit: usize) -> *mut RawHeap;
    fn hak_heap_destroy(heap: *mut RawHeap) -> c_int;
    fn hak_heap_aligned_alloc(heap: *mut RawHeap, alignment: usize, size: usize) -> *mut c_void;
    fn hak_heap_free(heap: *mut RawHeap, ptr: *mut c_void);
    fn hak_heap_stats(heap: *mut RawHeap, stats: *mut HeapStats) -> c_int;
}

/// hakmem as the allocator of a program: `#[global_allocator] static A: Hakmem = Hakmem;`
#[derive(Clone, Copy, Debug, Default)]
pub struct Hakmem;

unsafe impl GlobalAlloc for Hakmem {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= ALIGNED {
            hak_malloc(layout.size()) as *mut u8
        } else {
            hak_aligned_alloc(layout.align(), layout.size()) as *mut u8
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= ALIGNED {
            return hak_calloc(1, layout.size()) as *mut u8;
        }
        let block = self.alloc(layout);
        if !block.is_null() {
            ptr::write_bytes(block, 0, layout.size());
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        hak_free(block as *mut c_void)
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= ALIGNED {
            return hak_realloc(block as *mut c_void, size) as *mut u8;
        }
        let moved = hak_aligned_alloc(layout.align(), size) as *mut u8;
        if !moved.is_null() {
            ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
            hak_free(block as *mut c_void);
        }
        moved
    }
}

/// Where the memory is: the first fields of `struct hak_stats`, under their names (docs/statistics.md).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    size: usize,
    pub version: u32,
    pub threads: u32,
    pub live_bytes: usize,
    pub live_blocks: usize,
    pub live_resident_bytes: usize,
    pub front_bytes: usize,
    pub slab_free_bytes: usize,
    pub empty_bytes: usize,
    pub run_free_bytes: usize,
    pub metadata_bytes: usize,
    pub resident_bytes: usize,
    pub mapped_bytes: usize,
    pub peak_mapped_bytes: usize,
    pub acquired_partial: u64,
    pub acquired_empty: u64,
    pub acquired_unused: u64,
    pub acquired_new: u64,
    pub refills: u64,
    pub flushes: u64,
    pub remote_chains: u64,
    pub purged_bytes: u64,
    pub os_calls: u64,
    pub huge_bytes: usize,
    pub run_bytes: usize,
}

/// An error where the library was built without statistics.
pub fn stats() -> io::Result<Stats> {
    let mut stats = Stats {
        size: std::mem::size_of::<Stats>(),
        ..Stats::default()
    };
    if unsafe { hak_stats(&mut stats) } == 0 {
        Ok(stats)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Gives memory that nothing lives in back to the system, but about `keep` bytes. Did any go?
pub fn trim(keep: usize) -> bool {
    unsafe { hak_trim(keep) == 1 }
}

/// What a heap of one's own has: `struct hak_heap_stats`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct HeapStats {
    size: usize,
    pub live_blocks: usize,
    pub live_bytes: usize,
    pub held_bytes: usize,
    pub peak_held_bytes: usize,
    /// 0: none.
    pub limit: usize,
    pub limit_refusals: u64,
}

/// A heap of one's own. Any thread may use it; its memory goes when it is dropped.
#[derive(Debug)]
pub struct Heap {
    raw: NonNull<RawHeap>,
}

unsafe impl Send for Heap {}
unsafe impl Sync for Heap {}

impl Heap {
    /// A heap that never holds more than `limit` bytes, its record included; 0: no limit. None: no memory, or a limit below
    /// 4096.
    pub fn new(limit: usize) -> Option<Heap> {
        NonNull::new(unsafe { hak_heap_new(limit) }).map(|raw| Heap { raw })
    }

    /// A block, or None: no memory, or the limit. It must not be used after the heap was dropped.
    pub fn alloc(&self, layout: Layout) -> Option<NonNull<u8>> {
        let block = unsafe { hak_heap_aligned_alloc(self.raw.as_ptr(), layout.align(), layout.size()) };
        NonNull::new(block as *mut u8)
    }

    /// Gives a block back.
    ///
    /// # Safety
    ///
    /// It is a live block of this heap, and not used any more.
    pub unsafe fn dealloc(&self, block: NonNull<u8>) {
        hak_heap_free(self.raw.as_ptr(), block.as_ptr() as *mut c_void)
    }

    pub fn stats(&self) -> HeapStats {
        let mut stats = HeapStats {
            size: std::mem::size_of::<HeapStats>(),
            ..HeapStats::default()
        };
        unsafe { hak_heap_stats(self.raw.as_ptr(), &mut stats) };
        stats
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        unsafe { hak_heap_destroy(self.raw.as_ptr()) };
    }
}
