package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// A worker at rest holds the parsed OpenAPI schemas, and next to them the garbage of a build is small.
// Go's own rule, collect when the heap has doubled, has it mark those schemas again every few builds.
const (
	restfulHeap = 40 << 20 // up to here garbage may grow, whatever is in use
	usualGrowth = 100      // per cent; Go's own rule, from there on
	leastInUse  = 4 << 20  // what Go tells before the first collection is 0
)

// collectRarely sets the rule anew after every collection.
func collectRarely() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	inUse := max(live[0].Value.Uint64(), leastInUse)
	growth := usualGrowth
	if inUse < restfulHeap/2 {
		growth = int(restfulHeap*100/inUse) - 100
	}
	debug.SetGCPercent(growth)
	// Unreachable at once, so the next collection comes across it.
	runtime.AddCleanup(&struct{ next *byte }{new(byte)}, func(int) { collectRarely() }, 0)
}
