-- Auto-routing for Orthanc: every CT series goes to the analysis node once it has stopped growing
-- (StableAge seconds without a new image). The node's own results come back from the node and stay
-- where they are; its maps have the modality of their source, so the modality alone does not tell.
function OnStableSeries(seriesId, tags, metadata)
  if metadata['RemoteAET'] == 'ANODE' or tags['Modality'] ~= 'CT' then
    return
  end
  local order = { Resources = { seriesId }, Synchronous = false, Permissive = false }
  RestApiPost('/modalities/ANODE/store', DumpJson(order, true), false)
end
