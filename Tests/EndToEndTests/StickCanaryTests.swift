import Forwarding
import Foundation
import LinuxIO
import Provenance
import Storage
import TestSupport
import Testing

/// What lies on a stick, and in the device's own files, can be read by nobody who only finds them.
@Suite struct StickCanaryTests {
  /// Files below `folder` in which `canary` stands: as it is, as hexadecimal digits, as base64 at each of its three
  /// places in a group of four.
  private func found(_ canary: String, below folder: String) throws -> [String] {
    let bytes = Data(canary.utf8)
    var needles = [bytes, Data(Hexadecimal.text(of: Array(bytes)).utf8)]
    for shift in 0..<3 {
      let text = (Data(repeating: 0, count: shift) + bytes).base64EncodedString()
      // Without the ends, which depend on what stands beside it.
      needles.append(Data(text.dropFirst(4).dropLast(4).utf8))
    }
    return try FileManager.default.subpathsOfDirectory(atPath: folder).filter { name in
      var isFolder: ObjCBool = false
      guard FileManager.default.fileExists(atPath: folder + "/" + name, isDirectory: &isFolder), !isFolder.boolValue
      else { return false }
      let content = try Data(contentsOf: URL(filePath: folder + "/" + name))
      return name.contains(canary) || needles.contains { content.range(of: $0) != nil }
    }
  }

  @Test func canariesAreOnNoStickAndInNoFileOfTheDevice() async throws {
    let workspace = try Workspace()
    let configuration = try workspace.configure(port: 1, captures: 0)
    let state = workspace.folder + "/state"
    let time = try SystemClock()
    let canary = "CANARY-\(UUID().uuidString)"
    do {
      let key = try KeyFile.load(path: state + "/keys/outbox.key", digests: OpenSSLDigests())
      let outbox = try Outbox(
        OutboxConfiguration(path: state + "/outbox.sqlite", keys: KeyRing(current: key)), time: time)
      var generator = SystemRandomNumberGenerator()
      let id = RandomIdentifier(using: &generator)
      let image = Array((String(repeating: ".", count: 5000) + canary + String(repeating: ".", count: 200_000)).utf8)
      _ = try await outbox.enqueue(
        NewCapture(
          captureID: id, created: time.now(),
          images: [CaptureImage(name: "master.png", contentType: "image/png", bytes: image)]
        ) { number in
          Array(
            (#"{"schema":"thermograph.capture.v2","capture_id":"\#(id)","outbox_id":"\#(number.outboxID)","#
              + #""sequence":\#(number.sequence),"site":"test-site","device":"test-device","patient_ref":"\#(canary)","#
              + #""images":[{"name":"master.png","bytes":\#(image.count),"#
              + #""sha256":"\#(Hexadecimal.text(of: OpenSSLDigests().sha256(image)))"}]}"#).utf8)
        })
      for make in [NewMessage.alert, NewMessage.event, NewMessage.reply] {
        _ = try await outbox.enqueue(make(Array(#"{"text":"\#(canary)"}"#.utf8), time.now()))
      }
      await outbox.close()
    }
    #expect(try found(canary, below: state) == [])

    let clinic = workspace.folder + "/clinic"
    let made = try await Program.run(
      [
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", clinic + ".key",
        "-out", clinic + ".pem", "-subj", "/CN=clinic", "-days", "2",
      ], executable: "/usr/bin/openssl", in: workspace.folder)
    #expect(made.status == 0)
    let stick = workspace.folder + "/stick"
    let open = workspace.folder + "/open"
    for folder in [stick, open] {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }
    let exported = try await Program.run(
      ["outbox", "export", stick, "--recipient", clinic + ".pem", "--config", configuration], in: workspace.folder)
    #expect(exported.status == 0, "\(exported.errors)")
    #expect(!exported.output.contains(canary) && !exported.errors.contains(canary))
    // Record, image, three messages and the file that names the device are there, and not in the clear.
    let sealed = try FileManager.default.subpathsOfDirectory(atPath: stick).filter { $0.hasSuffix(".cms") }
    #expect(sealed.count == 6, "\(sealed)")
    #expect(try found(canary, below: stick) == [])
    #expect(try found(canary, below: state) == [])

    // The search finds each of them where the technician asked for the clear text.
    let clear = try await Program.run(
      ["outbox", "export", open, "--clear", "--config", configuration], in: workspace.folder)
    #expect(clear.status == 0, "\(clear.errors)")
    #expect(try found(canary, below: open).count == 5)
  }
}
