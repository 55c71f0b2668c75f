"""The pool: a btrfs filesystem that holds pods as subvolumes. Nothing else knows btrfs' words.

In the making: nothing in the product uses it yet (docs/pool.md).
"""
