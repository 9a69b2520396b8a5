//! What a client meets: the list of tools, the graph as a resource, and notices of its changes.
//!
//! Invariant: lists are the same for every client, at any time.

use super::memory::indented;
use super::{Server, ToolSet};
use crate::memory::Memory;
use rmcp::model::{
    CacheScope, Implementation, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, Resource,
    ResourceContents, ResourceUpdatedNotificationParam, ServerCapabilities, ServerConfig,
    SubscribeRequestParams, SubscriptionFilter, UnsubscribeRequestParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler, tool_handler};

const GRAPH_URI: &str = "memory://knowledge-graph";
#[tool_handler(router = self.tools.router)]
impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .enable_resources_subscribe()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("crdt-palace", env!("CARGO_PKG_VERSION")))
            .with_instructions(self.tools.instructions())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut result = ListToolsResult::with_all_items(self.tools.list());
        if context.protocol_version().is_some_and(|era| era >= ProtocolVersion::V_2026_07_28) {
            (result.ttl_ms, result.cache_scope) = (Some(0), Some(CacheScope::Public));
        }
        Ok(result)
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let graph = Resource::new(GRAPH_URI, "knowledge-graph")
            .with_title("Knowledge Graph")
            .with_description("The full knowledge graph with all entities and relations")
            .with_mime_type("application/json");
        let offered = self.tools.has(ToolSet::Memory);
        Ok(ListResourcesResult::with_all_items(offered.then_some(graph).into_iter().collect()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        known(&request.uri)?;
        let graph = self.on_graph(&context, Memory::read_graph).await;
        let text = graph.and_then(|graph| indented(&graph));
        let text = text.map_err(|error| ErrorData::internal_error(error, None))?;
        let contents = ResourceContents::text(text, GRAPH_URI).with_mime_type("application/json");
        Ok(ReadResourceResult::new(vec![contents]).into())
    }

    fn accepted_subscription_filter(
        &self,
        asked: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        let uris = asked.resource_subscriptions.iter().flatten();
        let known = uris.filter(|uri| *uri == GRAPH_URI);
        Some(SubscriptionFilter::builder().resource_subscriptions(known).build())
    }

    /// The client was told already that it is subscribed. Whether something changed between that and the
    /// first look is not known, so the first notice comes at once.
    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.changes().await?;
        let mut told = context.sink().notify_resource_updated(GRAPH_URI).await;
        while told.is_ok() {
            tokio::select! {
                () = context.cancelled() => break,
                Some(()) = changes.recv() => {
                    told = context.sink().notify_resource_updated(GRAPH_URI).await;
                }
                else => break,
            }
        }
        Ok(())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        known(&request.uri)?;
        let mut changes = self.changes().await?;
        let task = tokio::spawn(async move {
            let notice = || ResourceUpdatedNotificationParam::new(GRAPH_URI);
            while changes.recv().await.is_some()
                && context.peer.notify_resource_updated(notice()).await.is_ok()
            {}
        });
        self.subscribed.set(Some(task.abort_handle()));
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        known(&request.uri)?;
        self.subscribed.set(None);
        Ok(())
    }
}

/// Refuses to speak of a resource that is not there.
fn known(uri: &str) -> Result<(), ErrorData> {
    match uri {
        GRAPH_URI => Ok(()),
        other => {
            let text = format!("no such resource: {other}; there is {GRAPH_URI}");
            Err(ErrorData::resource_not_found(text, None))
        }
    }
}
