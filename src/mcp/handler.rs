//! The requests of the protocol: tools, resources, subscriptions.
//!
//! Invariant: the list of tools is the same for every client, at any time.

use super::message::no_method;
use super::page::{ANSWER_BYTES_MAX, Page};
use super::resource_listing::{ListStart, list, list_changes};
use super::resources::{OfferedResource, templates};
use super::server::{Server, may_be_large};
use super::session::{Notifier, Recipient, Subscriptions};
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CustomRequest, CustomResult,
    Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
    ListToolsResult, PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, ResourceContents, ServerCapabilities, ServerConfig,
    SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
};
use rmcp::service::{Peer, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .enable_resources_subscribe();
        let capabilities = match list_changes(&self.tools) {
            true => capabilities.enable_resources_list_changed().build(),
            false => capabilities.build(),
        };
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("crdt-palace", env!("CARGO_PKG_VERSION")))
            .with_instructions(self.tools.instructions())
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.get(name).map(|tool| tool.listed.clone())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let name = request.name.clone();
        let no_tool = || ErrorData::invalid_params(self.tools.no_tool(&name), None);
        self.call(request, &context).await.map(Into::into).ok_or_else(no_tool)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut result = ListToolsResult::with_all_items(self.tools.list());
        if is_new(&context) {
            (result.ttl_ms, result.cache_scope) = (Some(0), Some(CacheScope::Public));
        }
        Ok(result)
    }

    /// Refuses: there are no prompts, and no capability for them. rmcp would give an empty list, like a server that has
    /// prompts.
    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Err(no_method("prompts/list"))
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(no_method(&request.method))
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        // A client that has listed the resources wants to know when the list changes; one that has not needs no
        // watch. Since 2026-07-28 clients ask for it.
        if list_changes(&self.tools) && !is_new(&context) {
            self.session.subscribe(|wanted| wanted.list = true);
            self.notify_session(context.peer.clone()).await?;
        }
        let cursor = request.and_then(|request| request.cursor);
        let start = ListStart::of(cursor.as_deref());
        let start = start.map_err(|error| ErrorData::invalid_params(error.to_string(), None))?;
        let tools = self.tools.clone();
        let page = self.run(&context, move |call| list(&call.palace, &tools, start)).await;
        let Page { items, next_cursor } = page.and_then(|page| page).map_err(internal)?;
        Ok(ListResourcesResult { next_cursor, ..ListResourcesResult::with_all_items(items) })
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(templates(&self.tools)))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let (uri, resource) = self.resource(request.uri)?;
        may_be_large(&context).await;
        let text = self.run(&context, move |call| resource.read(call)).await;
        let text = text.and_then(|text| text).map_err(internal)?.ok_or_else(|| not_found(&uri))?;
        if text.len() > ANSWER_BYTES_MAX {
            return Err(internal(format!(
                "the resource has {} bytes, and an answer has at most {ANSWER_BYTES_MAX}: read a part of it by a tool",
                text.len()
            )));
        }
        let contents = ResourceContents::text(text, uri).with_mime_type("application/json");
        Ok(ReadResourceResult::new(vec![contents]).into())
    }

    fn accepted_subscription_filter(
        &self,
        asked: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        let uris = asked.resource_subscriptions.iter().flatten();
        let known = uris.filter(|uri| OfferedResource::of(uri, &self.tools).is_some());
        let accepted = SubscriptionFilter::builder().resource_subscriptions(known);
        Some(match list_changes(&self.tools) {
            true => accepted.resources_list_changed().build(),
            false => accepted.build(),
        })
    }

    /// The client was told already that it is subscribed. A change between that and the first rescan may go
    /// unnoticed, so the first notice of everything comes at once.
    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let accepted = context.sink().accepted();
        let uris = accepted.resource_subscriptions.iter().flatten();
        let resources =
            uris.filter_map(|uri| Some((uri.clone(), OfferedResource::of(uri, &self.tools)?)));
        let list = accepted.resources_list_changed == Some(true);
        let resources: BTreeMap<_, _> = resources.collect();
        let places = Some(self.changes.places(resources.len())?);
        let wanted = Subscriptions { resources, list, places };
        let changes = self.changes.follow(list).await.map_err(internal)?;
        let recipient = Recipient::Listen(context.sink().clone());
        let notifier = Notifier::new(recipient, changes, Arc::new(Mutex::new(wanted)));
        tokio::select! {
            () = context.cancelled() => {}
            () = self.session.is_over() => {}
            () = self.is_stopping() => {}
            () = notifier.notify_all_and_go_on() => {}
        }
        Ok(())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let (uri, resource) = self.resource(request.uri)?;
        let place = self.changes.places(1)?;
        self.session.subscribe(|wanted| wanted.add(uri, resource, place));
        self.notify_session(context.peer).await
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let (uri, _) = self.resource(request.uri)?;
        self.session.subscribe(|wanted| wanted.remove(&uri));
        self.session.stop_if_unused();
        Ok(())
    }
}

impl Server {
    /// Finds the resource of a URI; an error if these tools do not offer it.
    fn resource(&self, uri: String) -> Result<(String, OfferedResource), ErrorData> {
        match OfferedResource::of(&uri, &self.tools) {
            Some(resource) => Ok((uri, resource)),
            None => Err(not_found(&uri)),
        }
    }

    /// Starts to notify the client of this session, unless that goes on already.
    async fn notify_session(&self, peer: Peer<RoleServer>) -> Result<(), ErrorData> {
        let _starting = self.session.starting.lock().await;
        if self.session.is_silent() {
            let changes = self.changes.follow(list_changes(&self.tools)).await.map_err(internal)?;
            self.session.notify(peer, changes);
        }
        Ok(())
    }
}

/// Returns true if the client speaks 2026-07-28 or later.
fn is_new(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|era| era >= ProtocolVersion::V_2026_07_28)
}

fn internal(text: String) -> ErrorData {
    ErrorData::internal_error(text, None)
}

fn not_found(uri: &str) -> ErrorData {
    let text = format!(
        "no such resource: {uri}; resources/list and resources/templates/list tell which there are"
    );
    ErrorData::resource_not_found(text, Some(serde_json::json!({"uri": uri})))
}
