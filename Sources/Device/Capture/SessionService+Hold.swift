import Provenance
import Screening

// The device out of service while the program is updated.
extension SessionService {
  /// Somebody is before the device, or is waited for.
  var isBusy: Bool { !machine.isIdle && !machine.isHeld }

  /// After each event: since when nobody is there, and whether a hold has ended by itself.
  func noteHolds(wasBusy: Bool) {
    if wasBusy || isBusy { lastBusy = time.now().monotonicNanoseconds }
    if !machine.isHeld { holders = [] }
  }

  /// Takes the device out of service for an update, when nobody was before it for a while.
  func take(_ hold: SessionControl.Hold) async -> SessionReply {
    if !machine.isHeld {
      guard machine.isIdle else { return .refused(reason: sentence(for: .sessionUnderWay)) }
      let now = time.now().monotonicNanoseconds
      let quiet = Int((max(now, lastBusy) - lastBusy) / 1_000_000_000)
      guard quiet >= hold.quietSeconds else { return .waiting(seconds: hold.quietSeconds - quiet) }
    }
    await feed(.held(seconds: hold.longestSeconds))
    guard machine.isHeld else { return .refused(reason: sentence(for: .sessionUnderWay)) }
    holders.insert(hold.id)
    logger.notice("held for an update: no session opens", metadata: ["holders": "\(holders.count)"])
    return .held
  }

  func release(_ id: RandomIdentifier) async -> SessionReply {
    guard holders.remove(id) != nil, holders.isEmpty else {
      return .refused(reason: "others hold the device, or nobody")
    }
    logger.notice("released: sessions open again")
    await feed(.released)
    return .waiting(seconds: 0)
  }
}
