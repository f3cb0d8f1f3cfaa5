import type { JsonObject, Target } from '../../core/request.ts'
import { type JsonSchemaSetting, refuseSchema } from './structured-output.ts'

/** Of the query of a caller's URL, what would change the replies to our own calls too. */
const RESHAPING = /[?&](?:\$?fields|\$?callback|\$?alt=(?!json(?:&|$)))/

/** Why a body cannot ride a batch; undefined when it can. */
export function refuseBody(body: JsonObject, target: Target, jsonSchema: JsonSchemaSetting): string | undefined {
  if (RESHAPING.test(target.query)) return 'its URL asks for a reply of another shape, and a batch has one shape'
  const parts = partsOf(body, target)
  if (parts.length === 0) return 'it has no list of requests'
  if (parts.some((part) => isForeign(part, target))) return 'its body names another model than its URL'
  if (target.endpoint !== 'generateContent') return undefined
  return refuseTier(body) ?? refuseTools(body) ?? refuseSchema(body, jsonSchema)
}

/** What becomes one row each. */
export function partsOf(body: JsonObject, { endpoint }: Target): readonly JsonObject[] {
  if (endpoint !== 'batchEmbedContents') return [body]
  const { requests } = body
  const isPart = (part: unknown): part is JsonObject =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
  return Array.isArray(requests) && requests.every(isPart) ? requests : []
}

/** A row may repeat the model of the batch, and no other [docs]. */
function isForeign({ model }: JsonObject, target: Target): boolean {
  return typeof model === 'string' && model !== `models/${target.model}` && model !== target.model
}

function refuseTier(body: JsonObject): string | undefined {
  const tier = body.serviceTier ?? body.service_tier
  if (typeof tier !== 'string' || /^(?:unspecified|standard)?$/i.test(tier.replace(/^SERVICE_TIER_/, '')))
    return undefined
  return `serviceTier "${tier}" asks for a price and pace of its own`
}

/** Such rows fail, all of them [googleapis/python-genai#2693]. */
function refuseTools({ tools }: JsonObject): string | undefined {
  const isRemote = (tool: unknown): boolean =>
    typeof tool === 'object' && tool !== null && ('mcpServers' in tool || 'mcp_servers' in tool)
  return Array.isArray(tools) && tools.some(isRemote) ? 'remote MCP servers do not work in batches' : undefined
}
