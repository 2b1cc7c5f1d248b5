import Cryptography
import Storage
import Trust

/// libFuzzer's entry: any bytes as what comes on `dn/trust`, as a kept set, as a list of keys and as an envelope are read or
/// refused with one line of text. Anything else (a trap, a hang, too much memory) is a finding. Without a signature nothing is
/// believed, so the readers are asked one by one.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzTrust(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
  let digests = OpenSSLDigests()
  do throws(MetadataFault) {
    let bundle = try MetadataBundle(reading: bytes)
    let again = try MetadataBundle(reading: bundle.encoded(), maximumBytes: 2 * MetadataBundle.messageBytesMaximum)
    precondition(again == bundle || bundle.id != nil, "a set that reads back as another")
    _ = try TrustedRepository(kept: bundle, verifier: OpenSSLVerifier(), digests: digests)
  } catch { precondition(!error.description.isEmpty) }
  do throws(MetadataFault) {
    _ = try TrustedRepository(.site, rootFile: bytes, verifier: OpenSSLVerifier(), digests: digests)
  } catch { precondition(!error.description.isEmpty) }
  do throws(ShapeFault) { _ = try OnlineKeys(reading: bytes, digests: digests) } catch {
    precondition(!error.description.isEmpty)
  }
  do throws(EnvelopeFault) {
    let envelope = try Envelope(reading: bytes, within: .statement)
    precondition(!envelope.encoded().isEmpty)
  } catch { precondition(!error.description.isEmpty) }
  return 0
}
