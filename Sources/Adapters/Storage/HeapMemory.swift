import CLinux

/// The C heap, which SQLite, libmosquitto and Swift share.
enum HeapMemory {
  /// Gives the kernel the pages that nobody uses any more. After work on much data: glibc keeps what lies below a block
  /// in use, for good.
  static func giveBackUnused() {
    clinux_give_back_free_memory()
  }
}
