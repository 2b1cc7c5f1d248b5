import Configuration
import ConfigurationFiles
import Provenance

/// libFuzzer's entry: any bytes as a configuration file are either usable, or every fault has a place within the file and
/// one line of text. What is usable reads back as the same settings. Anything else (a trap, a hang, too much memory) is a
/// finding.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzConfiguration(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let file = "/nonexistent/thermograph.toml"
  var folder = ConfigurationFolder(mainFile: file)
  folder.overlay = [file: [UInt8](UnsafeBufferPointer(start: start, count: count))]
  let reading = folder.read()
  let lines = UnsafeBufferPointer(start: start, count: count).count { $0 == UInt8(ascii: "\n") } + 1
  for fault in reading.faults {
    precondition(!fault.description.isEmpty && !fault.description.contains("\n"), "a fault of no or several lines")
    if fault.place.file == file, let line = fault.place.line {
      precondition((1...lines).contains(line), "a fault outside of the file")
      precondition(fault.place.column.map { $0 >= 1 } ?? true, "a fault before its line")
    }
  }
  _ = try? CanonicalJSON.text(of: reading.json(effective: true))
  if reading.isUsable {
    folder.overlay = [file: Array(reading.effectiveListing().utf8)]
    let again = folder.read()
    precondition(again.isUsable, "the effective settings do not read back")
    precondition(again.settings == reading.settings, "the effective settings read back as others")
  }
  return 0
}
