import Foundation
import Provenance
import TestSupport
import Testing
import Trust

/// The real device hears newer metadata over a real broker, and believes commands by what it trusts now.
@Suite(.serialized) struct TrustFromAfarTests {
  private typealias Versions = [String: [String: Int]]

  @Test func newerMetadataIsTakenOverTheLineAndNothingElse() async throws {
    let workspace = try Workspace()
    let bench = try await FarSideBench(workspace)
    var site = try SignedSite()
    try site.install(in: workspace.folder + "/state")
    let configuration = try workspace.configure(port: bench.broker.port, captures: 0)
    let sender = try CommandSender(site: "test-site", device: "test-device")
    let thief = try CommandSender(site: "test-site", device: "test-device")
    var generator = SystemRandomNumberGenerator()
    func next() -> RandomIdentifier { RandomIdentifier(using: &generator) }
    // What a broker keeps is not even read.
    var retained = site
    try retained.list(thief.publicKey)
    try await bench.publish(retained.message(next()), on: "trust", retained: true)

    let device = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
    func versions() -> Versions? { bench.heard("status").last?["trust"] as? Versions }
    try await eventually("it is born, and says what it trusts", context: { bench.output + device.errors }) {
      versions() == ["site": ["root": 1]] && bench.challenge != nil
    }
    try await eventually("it hears metadata", context: { bench.broker.log }) {
      bench.broker.log.contains("\(FarSideBench.root)/dn/trust (QoS 1)")
    }
    let old = site
    try site.list(sender.publicKey)
    let (first, second) = (next(), next())
    try await bench.publish(site.message(first), on: "trust")
    try await eventually("it is answered, and the birth says so", context: { bench.output + device.errors }) {
      bench.state(first) == "done"
        && versions() == ["site": ["root": 1, "timestamp": 2, "snapshot": 2, "targets": 2]]
    }
    try await bench.publish(try bench.command(sender, "status", id: second), on: "command")
    try await eventually("the listed key commands", context: { bench.output + device.errors }) {
      bench.state(second) == "done"
    }
    // An older set, another site's, rubbish: told once, and the list stays.
    var stranger = try SignedSite()
    try stranger.list(thief.publicKey)
    for payload in [old.message(next()), stranger.message(next()), Array("{}".utf8)] {
      try await bench.publish(payload, on: "trust")
    }
    let (third, fourth) = (next(), next())
    try await bench.publish(try bench.command(thief, "status", id: third), on: "command")
    try await bench.publish(try bench.command(sender, "status", id: fourth), on: "command")
    try await eventually("the listed key still commands", context: { bench.output + device.errors }) {
      bench.state(fourth) == "done"
    }
    #expect(bench.state(third) == nil)
    try await eventually("it is told", context: { bench.output + device.errors }) {
      bench.heard("alert").count { $0["code"] as? String == "trust-refused" } == 1
    }
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
  }

  /// Both roots' metadata ended while the device had no line for more than a year; then the site's root is replaced. Captures
  /// go on all the time, and each is told.
  @Test func aYearWithoutALineAndAnotherRootLeaveCapturesAlone() async throws {
    let workspace = try Workspace()
    let bench = try await FarSideBench(workspace)
    let state = workspace.folder + "/state"
    let sender = try CommandSender(site: "test-site", device: "test-device")
    var site = try SignedSite(expires: "2025-01-01T00:00:00Z")
    try site.list(sender.publicKey)
    try site.install(in: state, takenAt: 1_700_000_000)
    let vendor = try SignedSite(.vendor, expires: "2025-01-01T00:00:00Z")
    try vendor.install(in: state, takenAt: 1_700_000_000)
    let configuration = try workspace.configure(
      port: bench.broker.port, captures: 3,
      more: [
        "broker": "host = \"127.0.0.1\"\nport = \(bench.broker.port)\nretry_maximum_seconds = 2",
        "session": "acclimatisation_seconds = 0\nposition_seconds = 0",
      ])
    func shown() async throws -> String {
      try await Program.run(["trust", "show", "--config", configuration], in: workspace.folder).output
    }
    let before = try await shown()
    #expect(before.components(separatedBy: "freshness expired").count == 3, "\(before)")
    #expect(before.contains("the site's root metadata has expired"), "\(before)")
    var generator = SystemRandomNumberGenerator()
    func next() -> RandomIdentifier { RandomIdentifier(using: &generator) }

    let device = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: workspace.folder)
    try await eventually("it is born", context: { bench.output + device.errors }) { bench.challenge != nil }
    try await eventually("it hears commands", context: { bench.broker.log }) {
      bench.broker.log.contains("\(FarSideBench.root)/dn/command (QoS 1)")
    }
    let (early, late, order, afterwards) = (next(), next(), next(), next())
    try await bench.publish(try bench.command(sender, "status", id: early), on: "command")
    try await device.waitForErrors(containing: "capture saved", seconds: 60)

    // Newer metadata of the same root: the line is all it takes.
    site.metadata.expires = "2040-01-01T00:00:00Z"
    site.metadata.raise("root")
    try site.list(sender.publicKey)
    let fresh = next()
    try await bench.publish(site.message(fresh), on: "trust")
    try await eventually("it is taken", context: { bench.output + device.errors }) { bench.state(fresh) == "done" }
    try await bench.publish(try bench.command(sender, "status", id: late), on: "command")
    try await bench.publish(
      try bench.command(sender, "update-install", #"{"target":"screening-fold","version":2}"#, id: order),
      on: "command")
    try await eventually("commands count again", context: { bench.output + device.errors }) {
      bench.state(late) == "done" && bench.state(order) != nil
    }
    #expect(bench.state(early) == nil, "what had expired believed nobody")
    #expect(bench.state(order) == "refused")
    let reason = bench.reply(order)?["reason"] as? String ?? ""
    #expect(reason.contains("the vendor's root metadata on this device has expired"), "\(reason)")

    // A person puts another root in its place while the device runs.
    try SignedSite().install(in: state)
    try await bench.publish(try bench.command(sender, "status", id: afterwards), on: "command")
    let after = try await shown()
    #expect(after.contains("the site root is installed and its metadata is not"), "\(after)")
    try await eventually("three captures are saved", context: { device.errors }) {
      device.errors.components(separatedBy: "capture saved").count == 4
    }
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
    #expect(bench.state(afterwards) == nil, "the former site's key commands nobody")
  }
}
