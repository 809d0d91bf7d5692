-- What mla_combine's threads have of a piece. Who sums in its order, so that the bits are its own, has to know.
local merge = {}

function merge.partial_bytes(partial) return partial == "bf16" and 2 or 4 end

-- Channels of a thread: 16 bytes.
function merge.channels(partial) return 16 // merge.partial_bytes(partial) end

-- Lanes of a warp that are in one row, and share its pieces when they are weighed.
function merge.row_lanes(latent, partial) return latent % (32 * merge.channels(partial)) == 0 and 32 or 16 end

return merge
