// SPDX-License-Identifier: MIT

use std::alloc::{GlobalAlloc, Layout};
use std::collections::HashMap;
use std::sync::Arc;
use std::thread;

#[global_allocator]
static ALLOCATOR: hakmem::Hakmem = hakmem::Hakmem;

#[repr(align(4096))]
struct Aligned([u8; 4096]);

#[test]
fn collections_lie_in_hakmem() {
    let before = hakmem::stats().unwrap();
    let map: HashMap<usize, String> = (0..10000).map(|i| (i, format!("{:0100}", i))).collect();
    let after = hakmem::stats().unwrap();
    assert!(after.live_blocks >= before.live_blocks + 10000, "{:?} {:?}", before, after);
    assert!(after.live_bytes >= before.live_bytes + 10000 * 100);
    assert_eq!(map[&17].len(), 100);
    drop(map);
    assert!(hakmem::stats().unwrap().live_blocks < after.live_blocks - 9000);
    hakmem::trim(0);
}

#[test]
fn alignments_are_kept() {
    let boxes: Vec<Box<Aligned>> = (0..100).map(|i| Box::new(Aligned([i as u8; 4096]))).collect();
    assert!(boxes.iter().enumerate().all(|(i, b)| b.as_ref() as *const _ as usize % 4096 == 0 && b.0[4095] == i as u8));
    for shift in 0..22 {
        let layout = Layout::from_size_align(100, 1 << shift).unwrap();
        unsafe {
            let block = ALLOCATOR.alloc_zeroed(layout);
            assert!(!block.is_null() && block as usize % layout.align() == 0);
            assert!((0..100).all(|i| *block.add(i) == 0));
            *block.add(99) = 7;
            let block = ALLOCATOR.realloc(block, layout, 100_000);
            assert!(!block.is_null() && block as usize % layout.align() == 0 && *block.add(99) == 7);
            ALLOCATOR.dealloc(block, Layout::from_size_align(100_000, layout.align()).unwrap());
        }
    }
}

#[test]
fn threads_share_a_heap() {
    let heap = Arc::new(hakmem::Heap::new(0).unwrap());
    let threads: Vec<_> = (0..4)
        .map(|t| {
            let heap = Arc::clone(&heap);
            thread::spawn(move || {
                for i in 0..5000usize {
                    let layout = Layout::from_size_align(1 + i % 3000, 1 << (i % 9)).unwrap();
                    let block = heap.alloc(layout).unwrap();
                    assert_eq!(block.as_ptr() as usize % layout.align(), 0);
                    unsafe { block.as_ptr().write_bytes(t as u8, layout.size()) };
                    if i % 10 != 0 {
                        unsafe { heap.dealloc(block) };
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(heap.stats().live_blocks, 4 * 500);
}

#[test]
fn limits_are_kept() {
    let heap = hakmem::Heap::new(1 << 20).unwrap();
    let layout = Layout::from_size_align(1000, 8).unwrap();
    let blocks = std::iter::from_fn(|| heap.alloc(layout)).count();
    let stats = heap.stats();
    assert!(blocks > 900 && stats.live_blocks == blocks && stats.held_bytes <= 1 << 20);
    assert!(stats.limit_refusals == 1 && stats.limit == 1 << 20);
    assert!(hakmem::Heap::new(100).is_none());
}
