import CloudLink
import Forwarding
import Foundation
import Provenance
import TestSupport
import Testing

/// Delivery through lines that break in every way at every step of the protocol: what `LineFaultTests` asks of the
/// client alone, asked of the messages.
@Suite struct ProtocolStepFaultTests {
  @Test(arguments: FaultProxy.Fault.allCases, [false, true])
  func nothingIsLostWhereverTheLineBreaks(fault: FaultProxy.Fault, isSecure: Bool) async throws {
    let row = FaultRow("\(fault.rawValue) at every step\(isSecure ? " over TLS" : "")")
    let authority = try TestAuthority()
    let plain = try FreePort.take()
    let broker =
      isSecure
      ? try authority.broker(
        try authority.issue("server"), requireCertificate: false, extra: ["listener \(plain) 127.0.0.1"])
      : try MosquittoBroker()
    try await broker.start()
    let receiver = try await ReceiverEnd(isSecure ? plain : broker.port)
    let line = try FaultProxy(to: broker.port)
    let device = try DeviceBench()
    try device.start(isSecure ? authority.settings(line.port, nil) : .plain(line.port, device.topics.device.text))
    var ids: [RandomIdentifier] = []
    let steps = LineFaultTests.Step.all.filter { $0.isSecure == isSecure }
    for step in steps {
      line.change(
        FaultProxy.Plan(
          fault: fault, afterBytesToClient: step.toClient, afterBytesToBroker: step.toBroker, connections: 1,
          dripMilliseconds: 1000, garbageSeed: UInt64(step.name.utf8.count)))
      // The connection under way makes room for the one that the fault strikes.
      line.breakConnections()
      ids += try await row.store(max(2, FaultMatrix.captures / steps.count + 1), in: device)
      try await eventually("\(step.name): struck and tried again", withinSeconds: 60) { line.connections >= 2 }
    }
    line.change(FaultProxy.Plan())
    try await row.verify(device, receiver, ids)
  }
}
