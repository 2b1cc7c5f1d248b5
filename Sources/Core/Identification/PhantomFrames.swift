/// EM4100 identities that readers are known to send with no tag in the field, checksum and all.
///
/// A checksum of eight bits, or a decoder that locks on to noise, cannot tell these from a tag. The published ones
/// (esprfid/esp-rfid issue 411, arendst/Tasmota issue 9522) fall into two groups: nearly empty patterns, which a rule
/// describes, and arbitrary ones, which only a list can name and only repetition can refute.
package enum PhantomFrames {
  /// Whether a frame with these 40 bits must be doubted on its looks alone.
  package static func resembles(em4100 bits: UInt64) -> Bool {
    let setBitCount = bits.nonzeroBitCount
    return setBitCount <= emptyBitCount || setBitCount >= 40 - emptyBitCount || published.contains(bits)
  }

  /// At most this many bits set, or clear, is nearly empty: one random identity in 5 million, but sparse serial
  /// numbers are real, which is why a suspect frame is doubted and not dropped.
  private static let emptyBitCount = 4

  private static let published: [UInt64] = [
    0x00_0000_0000, 0x00_0000_078F, 0x00_F000_00F0, 0xF0_0006_0007, 0xB5_9A99_E5A9, 0x4F_FB38_8FFF,
    0xDA_9386_B5EA, 0xDA_EF6F_EE2B, 0xBC_7DDF_FDDF, 0xC0_0C00_0000,
  ]
}
