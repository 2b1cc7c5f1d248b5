import CLinux

/// The C heap, which SQLite, libmosquitto and Swift share.
enum HeapMemory {
  /// Gives the kernel the pages that nobody uses any more. After work on much data: glibc keeps what lies below a block
  /// in use, for good.
  static func giveBackUnused() {
    clinux_give_back_free_memory()
  }

  /// Makes every block of 1 MiB or more go back to the kernel as soon as it is freed. Without this glibc maps only the
  /// first of a size, and keeps the next in a heap whose end `giveBackUnused` does not reach.
  static func mapLargeBlocks() {
    clinux_map_large_blocks()
  }
}
